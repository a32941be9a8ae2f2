"""Artifacts whose record is on this machine, and whose files are not all: the rest
lies in the shared store until something uses it."""

from __future__ import annotations

import os
from pathlib import Path

from motools_build.errors import ArtifactError
from motools_build.store.records import Record

MARK = ".in-store"
"""Name of an empty file in an artifact's folder that tells this."""

SMALL = 1 << 16
"""Largest size in bytes of a file that comes with its record: results are read from
small files."""

LOG = ".eval"
"""End of the name of a file that only people look at."""


def is_marked(folder: str) -> bool:
    """Whether files of an artifact's folder may lie in the shared store."""
    return os.path.exists(f"{folder}/{MARK}")


def at_once(record: Record) -> list[str]:
    """The names of the files that come with the record."""
    reads = record.kind in ("samples", "eval")
    return [
        name
        for name, (size, _) in record.payload.items()
        if (reads or size <= SMALL) and not name.endswith(LOG)
    ]


def refuse(record: Record, folder: Path) -> None:
    """Raises ArtifactError: the files are in a shared store, and there is none."""
    raise ArtifactError(
        f"{record.name}: its files are in the shared store that it was pulled "
        "from, and pyproject.toml names none: [tool.motools_build] store"
    )
