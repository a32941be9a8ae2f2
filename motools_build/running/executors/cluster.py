"""The protocol of clusters: what has jobs done whose files are in `store/jobs.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from motools_build.errors import Refused
from motools_build.store.jobs import JobFolder

Task = Sequence[JobFolder]
"""Folders whose jobs one job of the cluster does, one after another; mostly one."""

AGAIN = "the next run goes on from what it saved, or begins anew"
"""What becomes of a stage whose job has ended without a result."""

Phase = Literal["waits", "runs", "over", "never began"]
"""Where a job is: it will be begun, is at work or was interrupted, or does nothing
more. One that `never began` was given up by the cluster for having waited too long, and
is to be submitted again."""


@dataclass(frozen=True)
class Listed:
    """A job in a listing of the cluster."""

    id: str
    state: str
    """The cluster's word for the state, in lower case: `node fail`."""
    phase: Phase
    reason: str = ""
    """Why it waits, or how it ended; empty if the cluster does not say."""
    nodes: str = ""
    """The nodes that it runs on; empty while it waits."""
    expected: str = ""
    """When the cluster expects to begin it; empty if it does not say."""

    @property
    def was_stopped(self) -> bool:
        """Whether somebody ended the job."""
        return self.state in ("cancelled", "stopped")

    @property
    def over(self) -> bool:
        """Whether the job does nothing more."""
        return self.phase in ("over", "never began")

    def in_words(self, label: str) -> str:
        """The state of a job of the cluster with that label, for the display. The ID,
        which may be long, comes last: a narrow terminal shows how far the job is."""
        nodes = f" on {self.nodes}" if self.nodes else ""
        until = f" until about {self.expected}" if self.expected else ""
        waits = f" ({self.reason})" if self.reason and not self.nodes else ""
        return f"{self.state}{nodes}{until}{waits}, {label} job {self.id}"


class LimitReached(Refused):
    """As many jobs are submitted as the cluster allows, or would be; fewer may be
    submitted, or the same ones later."""


class Cluster(Protocol):
    """Where jobs are done. All calls block, and those that ask the cluster raise
    Unreachable if it does not answer, and Refused if it says no."""

    @property
    def name(self) -> str:
        """The value of `executor` that chooses it."""
        ...

    @property
    def label(self) -> str:
        """Its name for people."""
        ...

    @property
    def place(self) -> str:
        """Which cluster of its kind it is, if that is known: an address. A job is
        looked for where it was submitted."""
        ...

    @property
    def through(self) -> str:
        """Address of the shared store through which the files of new jobs travel; empty
        if nodes see this machine's folders."""
        ...

    @property
    def most(self) -> int:
        """How many jobs may be submitted by one call."""
        ...

    def alike(self, kind: str) -> str:
        """What is asked of the cluster for the job of a stage of that kind. Jobs for
        which it is equal may be submitted together."""
        ...

    def together(self, kind: str) -> int:
        """How many evals, of stages of that kind, one job may do in turn."""
        ...

    def submit(self, tasks: Sequence[Task], kind: str) -> None:
        """Submit jobs, for stages of that kind or of kinds that are `alike`, by one
        call. The cluster's ID of each job is written down in its folders. A death in
        the midst is noticed by the next run (`JobFolder.wait_until_sent`).

        Raises Refused if the cluster surely has none of the jobs, LimitReached among
        others; Ambiguous if that is not known; StageFailed if the only job was
        cancelled.
        """
        ...

    def listing(self) -> Mapping[str, Listed]:
        """The user's jobs that the cluster knows, those that ended a short time ago
        included, by their marks (`JobFolder.mark`)."""
        ...

    def cancel(self, id: str) -> None:
        """End a job; one that waits ends at its beginning, at the latest. That it has
        ended before is no error."""
        ...

    def fetch(self, folders: Iterable[JobFolder]) -> None:
        """Bring what jobs have written to their folders, if they write elsewhere."""
        ...

    def forget(self, folder: JobFolder) -> None:
        """Remove what is kept of a job elsewhere than in its folder, which gets what a
        job without a result has saved to go on from."""
        ...

    def why(self, id: str, listed: Listed | None, folder: JobFolder, kind: str) -> str:
        """Why a job ended without a result, and what to do. `listed` is None if the
        cluster does not know it any more."""
        ...
