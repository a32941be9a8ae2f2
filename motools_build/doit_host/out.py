"""Files that commands write: whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motools_build.store.files import whole_file
from motools_build.text.visible import Scrubbed


@contextmanager
def whole_text(path: Path) -> Iterator[Any]:
    """A stream of text, from which secrets are removed, into such a file."""
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        yield Scrubbed(stream)
