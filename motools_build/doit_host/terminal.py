"""What reaches a terminal by doit: its errors, and its streams."""

from __future__ import annotations

import sys
from typing import Any

from doit import exceptions

from motools_build.text.visible import Scrubbed, shown


class InvalidCommand(exceptions.InvalidCommand):  # type: ignore[misc]
    """doit's own, which it prints; providers' words and names may be part of it."""

    def __init__(self, message: str | None = None, **fields: Any) -> None:
        super().__init__(*([] if message is None else [shown(message)]), **fields)


def of_the_system(error: OSError) -> InvalidCommand:
    """What the system does not let us do with a file of the user's."""
    return InvalidCommand(
        f"the system refused: {error}; mend that, and run again (what is made is kept)"
    )


def guard() -> None:
    """From here on nothing that this process prints shows a key, whoever prints it."""
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), Scrubbed):
            setattr(sys, name, Scrubbed(getattr(sys, name)))
