"""The rows that a transform reads: a file, or what a run is yet to write."""

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
    """The dataset's name for messages, if a transform made the file."""
    derived: bool = False
    """Whether a transform made the file; it then has a provenance file beside it."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """The files that its rows were first read from: digest -> path."""

    def __str__(self) -> str:
        return self.name or self.path

    def sidecar(self) -> Path:
        return Path(self.path).with_name(PROVENANCE)


@dataclass(frozen=True)
class Unwritten:
    """Rows that a model writes during the run."""

    written_by: str
    """The key of that stage."""
