"""Files that commands write: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motools_build.text.visible import Scrubbed


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which takes its place when the context ends, and
    is removed if the context ends by an exception. Raises OSError if it cannot be
    written, before anything else is done."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.touch()
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_text(path: Path) -> Iterator[Any]:
    """A stream of text, from which secrets are removed, into such a file."""
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        yield Scrubbed(stream)
