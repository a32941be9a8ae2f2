"""The executor for clusters: each job in a folder of its own, submitted to a cluster.

The folder's files say what became of a job (`store/jobs.py`), and the cluster is asked
only while they say nothing. That it does not answer never means that a job is gone. A
job outlives the run: the next one finds its folder, and goes on from there.

A job is known by a mark, which has a nonce in it. A run that finds a folder without an
ID looks for the mark before it submits the job. Should there be a second job of the
same folder in spite of that, it waits for the folder's lock, finds the result, and
ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from motools_build.backends.job import Made, Progress, Report, StageJob
from motools_build.backends.provider import SILENCE
from motools_build.errors import Ambiguous, Deferred, Refused, StageFailed
from motools_build.running import LOGGER
from motools_build.running.executors.cluster import Cluster, Listed
from motools_build.running.executors.following import (
    CANCELLED,
    Tail,
    is_cancelled,
    outcome_of,
    without_result,
)
from motools_build.running.executors.job_folders import is_useless, prepared
from motools_build.running.executors.options import OF_KINDS
from motools_build.running.executors.queue import INTERVAL, Queue
from motools_build.running.executors.submitting import FULL, Submissions
from motools_build.running.launch.messages import Told
from motools_build.running.workers import STARTS
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.jobs import JobFolder

POLL = 0.5
"""Seconds between two looks at a job's files."""

LAG = 15.0
"""Seconds for which a file that another machine wrote may not show on this one. A job
that its cluster says has ended without a result has failed only after them."""

PATIENCE = 10.0
"""Longest time between two looks at the files of a job that is queued, in seconds."""


@dataclass
class _At:
    """A cluster that the run has to do with."""

    cluster: Cluster
    interval: float
    submissions: Submissions
    folders: set[JobFolder] = field(default_factory=set)
    """The jobs that the run follows."""

    def __post_init__(self) -> None:
        self.queue = Queue(self._listing, self.cluster.label, self.interval)

    def _listing(self) -> Mapping[str, Listed]:
        try:
            return self.cluster.listing()
        finally:  # what a job that has ended wrote is there before its end is seen
            self.cluster.fetch([*self.folders])


class ClusterJobs:
    """Has jobs done by clusters. One object for a run."""

    def __init__(
        self,
        store: ArtifactStore,
        cluster_of: Callable[[str, str | None], Cluster],
        tables: Mapping[str, Mapping[str, Any]],
        *,
        sends_to: str = "",
        wait: bool = True,
        check: Callable[[str, str], None] = lambda name, key: None,
        interval: float = INTERVAL,
        lag: float = LAG,
        full: float = FULL,
    ) -> None:
        """`cluster_of` gives a cluster by its name and place, which is None for the one
        that new jobs go to. `sends_to` is the name of that; empty for a run that
        submits nothing, and only takes up what an earlier one has submitted. `check`,
        given a job's name and key, raises Refused if it must not be submitted.
        `interval` is the time between two listings, in seconds."""
        self._store = store
        self._cluster_of = cluster_of
        self._tables = tables
        self._sends_to = sends_to
        self._wait = wait
        self._check = check
        self._interval = interval
        self._lag = lag
        self._full = full
        self._at: dict[tuple[str, str], _At] = {}

    async def run(self, job: StageJob, log: Path, report: Report) -> Made:
        folder = self._store.jobs.take_up(job.key)
        if folder and is_useless(folder, job):
            await asyncio.to_thread(folder.remove)
            folder = None
        is_new = folder is None
        if folder is None:
            self._check(job.name, job.key)
            await self._answers(to := self._cluster_of(self._sends_to, None), report)
            folder = await asyncio.to_thread(
                prepared, job, log, self._store, self._tables, to
            )
        which = folder.executor
        at = self._at.get(which) or self._known(self._cluster_of(*which))
        at.folders.add(folder)
        try:
            id, made = await self._outcome(folder, at, job, report, is_new)
        finally:
            at.folders.discard(folder)
        if isinstance(made, Exception):
            await asyncio.to_thread(at.cluster.forget, folder)
            await asyncio.to_thread(self._store.jobs.close, folder)
            raise made
        executor = {"name": at.cluster.name, "id": id}
        return replace(made, folder=str(folder.work), executor=executor)

    def takes(self, job: StageJob) -> bool:
        """Whether a job is done here: the heavy jobs of runs that send to a cluster and
        that pay nobody, and all that an earlier run submitted. What waits for a
        provider's network needs no node of a cluster."""
        heavy = job.kind in OF_KINDS and not job.accounts
        sends = bool(self._sends_to) and heavy
        return sends or self._store.jobs.of(job.key) is not None

    async def close(self) -> None:
        for at in self._at.values():
            await at.submissions.close()
            await at.queue.close()

    def _known(self, cluster: Cluster) -> _At:
        """What the run has to do with a cluster."""
        which = cluster.name, cluster.place
        if which not in self._at:
            submissions = Submissions(cluster, self._check, self._wait, self._full)
            self._at[which] = _At(cluster, self._interval, submissions)
        return self._at[which]

    async def _outcome(
        self, folder: JobFolder, at: _At, job: StageJob, report: Report, is_new: bool
    ) -> tuple[str, Made | Exception]:
        """The cluster's ID of the job, and its result or why there is none. Raises
        Refused if the cluster refuses it, and Deferred."""
        id, again = folder.id, False
        while True:
            if not id and folder.result is None:
                try:
                    id = await self._submitted(folder, at, job, report, is_new)
                except Refused:
                    await asyncio.to_thread(self._store.jobs.close, folder)
                    raise
                except StageFailed as error:  # cancelled before it was submitted
                    return "", error
                if not self._wait:
                    raise Deferred(
                        f"submitted to {at.cluster.label} as {id}, and not awaited; "
                        "run again",
                        under_way=True,
                    )
            if again:
                await at.queue.next()  # the latest listing is of the time before
            made = await self._followed(folder, at, id, job, report)
            if made is not None:
                return id, made
            await asyncio.to_thread(folder.unsent)
            id, is_new, again = "", True, True

    # ---- until it is submitted

    async def _answers(self, cluster: Cluster, report: Report) -> None:
        """Wait until the cluster has answered: a folder belongs to its cluster, which
        under a wrong address never tells that it has no such job. Raises Deferred."""
        async for seen in self._known(cluster).queue.silence(PATIENCE):
            self._give_up(seen.silent_for, seen.error, "nothing was submitted")
            report(Progress(0, 0, "", f"{seen.error}; asks again"))

    async def _submitted(
        self, folder: JobFolder, at: _At, job: StageJob, report: Report, is_new: bool
    ) -> str:
        """The cluster's ID of the job. It is submitted unless it is in the queue, where
        nobody looks for that of a new folder. Raises Refused if the cluster refuses it,
        and Deferred if it does not answer."""
        lost = 0.0
        while True:
            if not is_new:
                await asyncio.to_thread(folder.wait_until_sent)
                found = await self._found(folder, at, report)
                if found is not None:
                    await asyncio.to_thread(folder.submitted, found.id)
                    return found.id
            is_new = False
            try:
                id = await at.submissions.submit(folder, job, report)
            except Ambiguous as error:
                if lost:
                    what = "whether it was submitted is not known"
                    self._give_up(time.monotonic() - lost, str(error), what)
                lost = lost or time.monotonic()
                report(Progress(0, 0, "", f"{error}; looks whether it went through"))
                LOGGER.info("lost %s: %s", folder.name, error)
            else:
                LOGGER.info("submitted %s as %s", folder.name, id)
                return id

    async def _found(self, folder: JobFolder, at: _At, report: Report) -> Listed | None:
        """The folder's job in the cluster's queue; None if it is not there in two
        listings. Raises Deferred if the cluster does not answer."""
        for _ in range(2):
            seen = await at.queue.next()
            while seen.error:
                self._give_up(seen.silent_for, seen.error, "nothing was submitted")
                report(Progress(0, 0, "", f"{seen.error}; asks again"))
                seen = await at.queue.next()
            if folder.mark in seen.jobs:
                return seen.jobs[folder.mark]
        return None

    def _give_up(self, seconds: float, error: str, what: str) -> None:
        """Raises Deferred if the cluster has not answered for too long, or at once if
        the run does not wait for jobs."""
        if not self._wait or seconds >= SILENCE:
            raise Deferred(
                f"{error}; {what}: run again later", under_way=not what.startswith("n")
            )

    # ---- until it has ended

    async def _followed(
        self, folder: JobFolder, at: _At, id: str, job: StageJob, report: Report
    ) -> Made | Exception | None:
        """Pass on what a job tells, until its end. Returns its result, the error that
        it raised, or StageFailed if it ended without either; None if it is to be
        submitted again. Raises Deferred."""
        queue, label, mark = at.queue, at.cluster.label, folder.mark
        alone = len(folder.group) == 1
        tail, shown, over = Tail(folder.messages), "", 0.0
        seen, waits = queue.latest, False
        while True:
            if waits:  # there are no news of its files until it runs
                await queue.after(seen, PATIENCE)
            for told in await asyncio.to_thread(tail.read):
                if isinstance(told, Told):
                    if shown != STARTS:
                        shown = STARTS
                        report(Progress(0, 0, "", STARTS))
                    report(told.progress)
            result = await asyncio.to_thread(lambda: folder.result)
            if result is not None:
                return outcome_of(result, job, folder)
            if not alone and await asyncio.to_thread(is_cancelled, folder):
                return StageFailed(CANCELLED.format(f"its part of {label} job {id}"))
            latest = await queue.after(seen, POLL)
            if latest is seen:
                continue
            seen = latest
            if seen.error:
                self._give_up(seen.silent_for, seen.error, f"job {id} goes on")
                report(Progress(0, 0, "", f"{seen.error}; job {id} goes on"))
                shown = ""
                continue
            listed = seen.jobs.get(mark)
            if listed and listed.phase == "never began":
                report(Progress(0, 0, "", f"is submitted again: {listed.reason}"))
                return None
            if listed is None or listed.over:
                over = over or time.monotonic()
                locked = await asyncio.to_thread(folder.is_locked)
                if time.monotonic() - over >= self._lag and not locked:
                    return await without_result(folder, at.cluster, id, listed, report)
                if locked and not self._wait:
                    still = f"{label} job {id} is still at work; run again"
                    raise Deferred(still, under_way=True)
                continue
            over, waits = 0.0, listed.phase == "waits"
            if waits and folder.cancelled:  # should it begin, it ends
                return StageFailed(CANCELLED.format(f"{label} job {id}"))
            if not self._wait:
                raise Deferred(f"{listed.in_words(label)}; run again", under_way=True)
            if listed.state != "running" or shown != STARTS:
                words = listed.in_words(label)
                if not waits and not alone:
                    words += ", and does stages in turn"
                if words != shown:
                    report(Progress(0, 0, "", words))
                    shown = words
