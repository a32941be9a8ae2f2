"""The protocol of executors, which have jobs done elsewhere than on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from motools_build.backends.job import Made, Report, StageJob


class Executor(Protocol):
    """Has jobs done that are otherwise done by a worker of this machine. It decides
    where, never what, so it is in no key."""

    def takes(self, job: StageJob) -> bool:
        """Whether this executor does the job."""
        ...

    async def run(self, job: StageJob, log: Path, report: Report) -> Made:
        """The result of a job. Its files are in `Made.folder`. What the job prints is
        appended to the log.

        If the run is ended meanwhile, the job goes on, and the next call for the same
        job takes it up.

        Raises what the job raised; StageFailed if it ended without a result; Deferred
        if it is left to a later run.
        """
        ...

    async def close(self) -> None:
        """End all that ends with the run; jobs go on."""
        ...
