"""The pool of workers: a limited number of processes, which are reused. A job whose
worker dies is tried a second time."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from motools_build import errors
from motools_build.backends.job import Made, Progress, Report, StageJob
from motools_build.running.launch.base import Launcher, Worker
from motools_build.running.launch.messages import Done, Ended, Failed, Request, Told

STARTS = "starts"
"""Progress note of a job that had to wait and starts now."""

Outcomes = dict[str, Made | Exception]
"""Key of a job -> its result or error."""


@dataclass(frozen=True)
class Order:
    """A job for a worker, with its log file and progress callback."""

    job: StageJob
    log: Path
    report: Report


class WorkerPool:
    """At most `size` workers, started on first use; each does one job at a time.
    Workers of direct calls of `attempt` do not count towards `size`."""

    def __init__(
        self,
        size: int,
        log: Path,
        launcher: Launcher,
        tables: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._free = asyncio.Semaphore(size)
        self._idle: list[Worker] = []
        self._log = log
        """Log file for what a worker prints before it has a job."""
        self._launcher = launcher
        self._tables = tables or {}
        """Value of `StageJob.tables` in all jobs."""

    async def run(self, job: StageJob, log: Path, report: Report) -> Made:
        """Do one job in a worker. If the worker dies, the job is tried once more.

        Raises what the job raised, or WorkerDied.
        """
        waits = self._free.locked()
        if waits:
            report(Progress(0, 0, "", "waits for a worker"))
        async with self._free:
            if waits:
                report(Progress(0, 0, "", STARTS))
            order = Order(job, log, report)
            for _ in range(2):
                outcome = (await self.attempt([order]))[job.key]
                if not isinstance(outcome, errors.WorkerDied):
                    break
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def attempt(
        self, orders: Sequence[Order], folder: Path | None = None
    ) -> Outcomes:
        """Do jobs in one process of a worker, regardless of `size`. If there is a
        `folder` for their logs, they share one call of Inspect. If the process dies,
        the outcome of unfinished jobs is WorkerDied.
        """
        jobs = tuple(replace(order.job, tables=self._tables) for order in orders)
        request = Request(jobs, orders[0].log, folder)
        worker = await self._worker()
        try:
            await worker.send(request)
            outcomes = await _heard(worker, orders, request.log)
        except BaseException:  # when cancelled, the worker must not continue
            await worker.end()
            raise
        if any(isinstance(o, errors.WorkerDied) for o in outcomes.values()):
            await worker.end()
        else:
            self._idle.append(worker)
        return outcomes

    async def close(self) -> None:
        """End all workers."""
        while self._idle:
            await self._idle.pop().end()

    async def _worker(self) -> Worker:
        return self._idle.pop() if self._idle else await self._launcher.start(self._log)


async def _heard(worker: Worker, orders: Sequence[Order], log: Path) -> Outcomes:
    """The outcomes of a request. Progress is passed on until the request has ended."""
    reports = {order.job.key: order.report for order in orders}
    outcomes: Outcomes = {}
    while not isinstance(message := await worker.receive(), Ended):
        match message:
            case Told(key, progress):
                reports[key](progress)
            case Done(key, made):
                outcomes[key] = made
            case Failed(key):
                outcomes[key] = error_of(message, log)
    death = _death(message.code, log)
    return {key: outcomes.get(key, death) for key in reports}


def _death(code: int, log: Path) -> errors.WorkerDied:
    if code < 0:
        name = signal.Signals(-code).name
        how = f"was killed by {name}"
        if code == -signal.SIGKILL:
            how += " (by hand, or for memory)"
    else:
        how = f"ended with exit code {code}"
    return errors.WorkerDied(
        f"the worker that made it {how}, twice in a row; "
        "what it said last is in its log",
        log=str(log),
    )


def error_of(failed: Failed, log: Path) -> Exception:
    """A worker's error as an exception: of the same class if it is one of this
    package's, else StageFailed."""
    kind = getattr(errors, failed.kind, None)
    if isinstance(kind, type) and issubclass(kind, errors.MotoolsError):
        error = kind(failed.message)
        if isinstance(error, errors.StageFailed):
            error.log = str(log)
        return error
    return errors.StageFailed(
        f"{failed.kind}: {failed.message}; the traceback is in its log",
        log=str(log),
    )
