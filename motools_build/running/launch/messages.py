"""The messages between a host and a worker, each a line of JSON.

The host sends requests. For each request, the worker sends the progress of its jobs,
then the outcome of each job, and finally that the request has ended.
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
    """The file to which the jobs' output is appended."""
    folder: Path | None = None
    """The folder for the logs of jobs that share a call of Inspect; else None."""

    def encode(self) -> bytes:
        """The request as one line of JSON, with its newline."""
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
    """The progress of a job."""

    key: str
    progress: Progress


@dataclass(frozen=True)
class Done:
    """The result of a job that succeeded."""

    key: str
    made: Made


@dataclass(frozen=True)
class Failed:
    """The error of a job that failed."""

    key: str
    kind: str
    """Name of the exception's class."""
    message: str


@dataclass(frozen=True)
class Ended:
    """The last message of a request: its process, or the worker, has ended."""

    code: int
    """Exit code; minus the signal's number if a signal killed the process."""


Message = Told | Done | Failed | Ended


def encode(message: Message) -> bytes:
    """The message as one line of JSON, with its newline."""
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
