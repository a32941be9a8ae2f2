"""The rows that a transform reads: those of a file, or rows that a run will write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from motools_build.data import PROVENANCE


@dataclass(frozen=True)
class Source:
    """A file that a transform reads."""

    path: str
    digest: str
    name: str = ""
    """The dataset's name, for messages, if a transform made the file; else empty."""
    derived: bool = False
    """Whether a transform made the file; it then has a provenance file beside it."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """Digest -> path or URL of the files that the rows were first read from, before any
    transform."""

    def __str__(self) -> str:
        return self.name or self.path

    def sidecar(self) -> Path:
        return Path(self.path).with_name(PROVENANCE)


@dataclass(frozen=True)
class Unwritten:
    """Rows that a teacher model will write during the run."""

    written_by: str
    """The key of the stage that writes them."""
