"""The rows that a step reads: a file, or what a run is yet to write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from motools_build.data import PROVENANCE


@dataclass(frozen=True)
class Source:
    """A file that a step reads."""

    path: str
    digest: str
    name: str = ""
    """Of the dataset, if it was made by a step; for messages."""
    derived: bool = False
    """Whether it was made by a step, and has provenance beside it."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """Digest -> path of the files that its rows come from in the end."""

    def __str__(self) -> str:
        return self.name or self.path

    def sidecar(self) -> Path:
        return Path(self.path).with_name(PROVENANCE)


@dataclass(frozen=True)
class Unwritten:
    """Rows that a model writes during the run."""

    written_by: str
    """The key of that stage."""
