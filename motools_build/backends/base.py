"""The protocol of all backends, and the plain data that crosses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.keys import digest_bytes


@dataclass(frozen=True)
class Given:
    """An artifact that a job may use."""

    output: str
    """Identity of what it is: the digest of the weights, a provider's ID."""
    folder: str
    """Where its payload lies."""
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One stage, as a backend sees it. JSON-like: it may cross to a worker."""

    kind: str
    backend: str
    key: str
    name: str
    params: Mapping[str, Any]
    """The stage's `params` (see `plan.py`)."""
    work: str
    """An empty folder; every file left there becomes the artifact's payload."""
    given: Mapping[str, Given] = field(default_factory=dict)
    """By kind: the base, upload or model that the job uses."""


@dataclass(frozen=True)
class Made:
    """What a job made, besides the files in its work folder."""

    output: str
    details: Mapping[str, Any]
    seconds: float | None = None
    """Wall time of the work itself; set by the worker that did it."""


@dataclass(frozen=True)
class Progress:
    """How far a running job is."""

    done: int
    total: int
    unit: str
    """What is counted: steps, samples."""
    note: str = ""
    """A few words more: the present loss."""


Report = Callable[[Progress], None]


class Backend:
    """Makes artifacts of one or more kinds, each in one attempt.

    Raises StageFailed or another MotoolsError, with what happened and the remedy.
    """

    in_worker: frozenset[str] = frozenset()
    """Kinds whose work is heavy: `work` does it, in a worker process; `make` does
    the others, on the host's event loop."""

    async def make(self, job: Job, report: Report) -> Made:
        raise TypeError(f"{type(self).__name__} makes no {job.kind} on the host")

    def prepare(self, job: Job) -> None:
        """Import and load what jobs like this one share, once a worker."""

    def work(self, job: Job, report: Report) -> Made:
        raise TypeError(f"{type(self).__name__} makes no {job.kind} in a worker")


def planned_bytes(job: Job) -> bytes:
    """The dataset's bytes. Raises ArtifactError if they are not the planned ones."""
    path = job.params["dataset"]
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error})") from error
    if digest_bytes(data) != job.params["digest"]:
        raise ArtifactError(
            f"{path} was edited after this run was planned; nothing was made of it: "
            "run again"
        )
    return data
