"""Submitting jobs to a cluster: those that are ready at about the same time, and of
which the same is asked, by one call.

Submissions go one after another. While the cluster's limit of jobs is reached, one of
them tries again, not thousands. A call for several jobs that the cluster refuses for
their number is made again for fewer, so no stage fails for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from motools_build.backends.job import Progress, Report, StageJob
from motools_build.errors import Ambiguous, Deferred, Refused, StageFailed
from motools_build.running.batches import gathered
from motools_build.running.executors.cluster import Cluster, LimitReached
from motools_build.running.executors.grouping import grouped, kept_by
from motools_build.running.executors.job_folders import NOT_SUBMITTED
from motools_build.store.jobs import JobFolder

FULL = 30.0
"""Seconds between two attempts to submit, while the limit of jobs is reached."""

ARRAY = "array"
"""A word of the refusals that are for the number of jobs of one call."""


@dataclass
class _Waiting:
    """A job that is to be submitted."""

    folder: JobFolder
    job: StageJob
    report: Report
    kept: str | None
    """`grouping.kept_by` of the folder."""
    outcome: asyncio.Future[str]
    """The cluster's ID of the job."""


class Submissions:
    """Submits a run's jobs to one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        check: Callable[[str, str], None],
        wait: bool,
        full: float = FULL,
    ) -> None:
        """`check`, given a job's name and key, raises Refused if it must not be
        submitted. Without `wait`, jobs for which there is no room are left to a later
        run; otherwise, one tries again every `full` seconds."""
        self._cluster = cluster
        self._check = check
        self._wait = wait
        self._full = full
        self._most = cluster.most
        """How many jobs one call may have, as far as is known."""
        self._size = cluster.most
        """How many jobs the next call has, which is fewer after the limit of jobs was
        reached."""
        self._waiting: dict[str, list[_Waiting]] = {}
        """`Cluster.alike` -> jobs that wait for their submission."""
        self._latest = 0.0
        self._server: asyncio.Task[None] | None = None

    async def submit(self, folder: JobFolder, job: StageJob, report: Report) -> str:
        """Submit a folder's job, with others like it that are ready; returns the
        cluster's ID of it.

        Raises Refused if the cluster refuses it, or if it must not be submitted;
        Ambiguous if it is not known whether it was submitted; Deferred if there is no
        room, and the run does not wait.
        """
        loop = asyncio.get_running_loop()
        kept = await asyncio.to_thread(kept_by, folder)
        waiting = _Waiting(folder, job, report, kept, loop.create_future())
        self._waiting.setdefault(self._cluster.alike(job.kind), []).append(waiting)
        self._latest = loop.time()
        if self._server is None:
            self._server = asyncio.create_task(self._serve())
        return await waiting.outcome

    async def close(self) -> None:
        """Submit no more. A call that is under way is not cut short."""
        if self._server:
            self._server.cancel()
            await asyncio.wait([self._server])

    async def _serve(self) -> None:
        """Submit until nothing waits."""
        while self._waiting:
            await gathered(lambda: self._latest)
            waiting = self._waiting.pop(next(iter(self._waiting)))
            waiting.sort(key=lambda one: (one.job.name, one.job.key))
            try:
                await self._all(waiting)
            except Exception as error:  # noqa: BLE001 - passed on to all that wait
                _fail(waiting, error)
        self._server = None

    async def _all(self, waiting: list[_Waiting]) -> None:
        """Submit jobs of which the same is asked, and set their outcomes."""
        while waiting := self._allowed(waiting):
            together = self._cluster.together(waiting[0].job.kind)
            tasks = grouped([(one, one.kept) for one in waiting], together)
            now = tasks[: self._size]
            label = self._cluster.label
            for one in flat(now):
                one.report(Progress(0, 0, "", f"is submitted to {label}"))
            try:
                await self._call(now)
            except LimitReached as error:
                await self._full_up(now, waiting, error)
            except Refused as error:
                await self._refused(now, error)
            except Exception as error:  # noqa: BLE001 - passed on to its own
                _fail(flat(now), error)
            else:
                self._size = min(self._most, max(self._size, 2 * len(now)))

    def _allowed(self, waiting: list[_Waiting]) -> list[_Waiting]:
        """Those of the jobs that still wait, and may be submitted."""
        found = []
        for one in waiting:
            if one.outcome.done():  # submitted, refused, or the run was interrupted
                continue
            try:
                self._check(one.job.name, one.job.key)
            except Refused as error:
                one.outcome.set_exception(error)
                continue
            if one.folder.path.is_dir() and not one.folder.cancelled:
                found.append(one)
            else:
                one.outcome.set_exception(StageFailed(NOT_SUBMITTED))
        return found

    async def _call(self, now: list[list[_Waiting]]) -> None:
        """Submit jobs by one call. Raises as `Cluster.submit`."""
        tasks = [[one.folder for one in task] for task in now]
        sending = asyncio.to_thread(self._cluster.submit, tasks, now[0][0].job.kind)
        # a signal to this run must not leave a submission half done
        await asyncio.shield(asyncio.ensure_future(sending))
        for one in flat(now):
            if not one.outcome.done():
                one.outcome.set_result(one.folder.id)

    async def _full_up(
        self, now: list[list[_Waiting]], waiting: list[_Waiting], error: LimitReached
    ) -> None:
        """There is no room for so many jobs: the next call has fewer, or is later."""
        if len(now) > 1:
            self._size = len(now) // 2
        elif self._wait:
            for one in now[0]:
                one.report(Progress(0, 0, "", f"waits for its turn: {error}"))
            await asyncio.sleep(self._full)
        else:
            _fail(waiting, Deferred(f"{error}; run again later"))

    async def _refused(self, now: list[list[_Waiting]], error: Refused) -> None:
        """The cluster refuses these jobs: each of them, or only so many in one call."""
        if len(now) > 1 and ARRAY in str(error).lower():
            self._most = self._size = len(now) // 2
            return
        if len(now) > 1:
            try:
                await self._call(now[:1])
            except Refused as own:
                if isinstance(own, LimitReached):
                    self._size = 1
                    return
                error = own  # as of one, so of all: the same is asked for them
            except Ambiguous as lost:
                _fail(now[0], lost)
                return
            else:
                self._most = self._size = 1
                return
        _fail(flat(now), error)


def flat(tasks: list[list[_Waiting]]) -> list[_Waiting]:
    return [one for task in tasks for one in task]


def _fail(waiting: list[_Waiting], error: Exception) -> None:
    for one in waiting:
        if not one.outcome.done():
            one.outcome.set_exception(error)
