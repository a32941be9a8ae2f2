"""Errors and output streams of doit, made safe for a terminal."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from doit import exceptions

from motools_build.text.visible import Scrubbed, shown


class InvalidCommand(exceptions.InvalidCommand):  # type: ignore[misc]
    """doit's InvalidCommand, with secrets and control characters removed from the
    message, since that may quote a provider or a file."""

    def __init__(self, message: str | None = None, **fields: Any) -> None:
        super().__init__(*([] if message is None else [shown(message)]), **fields)


def of_the_system(error: OSError) -> InvalidCommand:
    """The error for a file operation that the operating system refused."""
    return InvalidCommand(
        f"the system refused: {error}; mend that, and run again (what is made is kept)"
    )


def guard() -> None:
    """Remove secrets from all that this process writes to stdout and stderr from now
    on, whichever code writes it."""
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), Scrubbed):
            setattr(sys, name, Scrubbed(getattr(sys, name)))


def reader_gone() -> int:
    """The exit code of a command whose reader has ended, as `head` does. What is left
    to be written goes nowhere, or Python would fail at it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return 128 + signal.SIGPIPE
