"""What a host and a worker say to each other, each a line of JSON.

A host sends requests. Of each, the worker tells the progress of its jobs, then how each
job came out, and last that the request has ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from motools_build.backends.job import Made, Progress, StageJob


@dataclass(frozen=True)
class Request:
    """Jobs to be done in one process: one job, or several in one call of Inspect."""

    jobs: tuple[StageJob, ...]
    log: Path
    """Where what the jobs print is appended."""
    folder: Path | None = None
    """Of several jobs: the folder for the logs that they write together."""

    def encode(self) -> bytes:
        """One line, its end included."""
        return _line(
            {
                "jobs": [job.to_json() for job in self.jobs],
                "log": str(self.log),
                "folder": str(self.folder) if self.folder else None,
            }
        )

    @classmethod
    def decode(cls, line: bytes) -> Request:
        fields = json.loads(line)
        folder = fields["folder"]
        return cls(
            jobs=tuple(map(StageJob.from_json, fields["jobs"])),
            log=Path(fields["log"]),
            folder=Path(folder) if folder else None,
        )


@dataclass(frozen=True)
class Told:
    """How far a job is."""

    key: str
    progress: Progress


@dataclass(frozen=True)
class Done:
    """A job that made its artifact."""

    key: str
    made: Made


@dataclass(frozen=True)
class Failed:
    """A job that raised an error."""

    key: str
    kind: str
    """Name of the error's class."""
    message: str


@dataclass(frozen=True)
class Ended:
    """The request's process has ended, or the worker has: no more is told of it."""

    code: int
    """Exit code; of a death by a signal, the signal's number below zero."""


Message = Told | Done | Failed | Ended


def encode(message: Message) -> bytes:
    """One line, its end included."""
    match message:
        case Told(key, progress):
            return _line({"key": key, "progress": asdict(progress)})
        case Done(key, made):
            return _line({"key": key, "made": asdict(made)})
        case Failed(key, kind, said):
            return _line({"key": key, "failed": {"type": kind, "message": said}})
        case Ended(code):
            return _line({"ended": code})


def decode(line: bytes) -> Message:
    """The message of a line that `encode` wrote."""
    fields = json.loads(line)
    if "progress" in fields:
        return Told(fields["key"], Progress(**fields["progress"]))
    if "made" in fields:
        return Done(fields["key"], Made(**fields["made"]))
    if "failed" in fields:
        failed = fields["failed"]
        return Failed(fields["key"], failed["type"], failed["message"])
    return Ended(fields["ended"])


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"
