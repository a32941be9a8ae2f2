"""The executor `slurm`: each job in a folder of its own, submitted by `sbatch`.

The folder's files say what became of a job (`store/jobs.py`), and Slurm's queue is
asked only while they say nothing. That Slurm does not answer never means that a job is
gone. A job outlives the run: the next one finds its folder, and goes on from there.

A submission is known by a nonce, the job's comment in Slurm. A run that finds a folder
without an ID looks for the nonce before it submits the job. Should there be a second
job of the same folder in spite of that, it waits for the folder's lock, finds the
result, and ends.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from motools_build.backends.job import Made, Progress, Report, StageJob
from motools_build.backends.provider import SILENCE
from motools_build.errors import (
    Ambiguous,
    Deferred,
    Refused,
    StageFailed,
)
from motools_build.running import LOGGER
from motools_build.running.executors import SLURM, slurm_commands
from motools_build.running.executors.following import Tail
from motools_build.running.executors.slurm_commands import Listed
from motools_build.running.executors.slurm_folders import prepared, submit, wait_for
from motools_build.running.executors.slurm_options import (
    OF_KINDS,
    options_of,
)
from motools_build.running.executors.slurm_queue import ENDED, Queue, ended, in_words
from motools_build.running.launch.messages import Done, Failed, Request, Told, decode
from motools_build.running.workers import STARTS, error_of
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.jobs import JobFolder

POLL = 0.5
"""Seconds between two looks at a job's files."""

LAG = 15.0
"""Seconds for which a file that another machine wrote may not show on this one. A job
that Slurm says has ended without a result has failed only after them."""

PATIENCE = 10.0
"""Longest time between two looks at the files of a job that is queued, in seconds."""

FULL = 30.0
"""Seconds between two attempts to submit, while Slurm's limit of jobs is reached."""


class Slurm:
    """Has jobs done by Slurm. One object for a run."""

    def __init__(
        self,
        store: ArtifactStore,
        options: Mapping[str, Any],
        tables: Mapping[str, Mapping[str, Any]],
        *,
        sends: bool = True,
        wait: bool = True,
        check: Callable[[str, str], None] = lambda name, key: None,
        queue: Queue | None = None,
        lag: float = LAG,
        full: float = FULL,
    ) -> None:
        """`sends` is false for a run that submits nothing, and only takes up what an
        earlier one has submitted. `check`, given a job's name and key, raises Refused
        if it must not be submitted."""
        self._sends = sends
        self._store = store
        self._options = options
        self._tables = tables
        self._wait = wait
        self._check = check
        self._queue = queue or Queue()
        self._lag = lag
        self._full = full
        self._turn = asyncio.Lock()

    async def run(self, job: StageJob, log: Path, report: Report) -> Made:
        folder = self._store.jobs.of(job.key)
        if folder and folder.result is not None and not folder.work.is_dir():
            # its files became an artifact, which was removed since
            await asyncio.to_thread(folder.remove)
            folder = None
        is_new = folder is None
        if folder is None:
            self._check(job.name, job.key)
            folder = await asyncio.to_thread(
                prepared, job, log, self._store, self._tables
            )
        id = folder.id
        if not id and folder.result is None:
            try:
                id = await self._submitted(folder, job, report, is_new)
            except Refused:
                await asyncio.to_thread(self._store.jobs.close, folder)
                raise
            if not self._wait:
                raise Deferred(
                    f"submitted to Slurm as {id}, and not awaited; run again",
                    under_way=True,
                )
        made = await self._followed(folder, id, job, report)
        if isinstance(made, Exception):
            await asyncio.to_thread(self._store.jobs.close, folder)
            raise made
        return replace(
            made, folder=str(folder.work), executor={"name": SLURM, "id": id}
        )

    def takes(self, job: StageJob) -> bool:
        """Whether a job is done here: the heavy jobs of runs with `executor=slurm` that
        pay nobody, and all that an earlier run submitted. What waits for a provider's
        network needs no node of a cluster."""
        heavy = job.kind in OF_KINDS and not job.accounts
        return (self._sends and heavy) or self._store.jobs.of(job.key) is not None

    async def close(self) -> None:
        await self._queue.close()

    # ---- until it is submitted

    async def _submitted(
        self, folder: JobFolder, job: StageJob, report: Report, is_new: bool
    ) -> str:
        """Slurm's ID of the job. It is submitted unless it is in the queue, where
        nobody looks for that of a new folder. Raises Refused if Slurm refuses it, and
        Deferred if Slurm does not answer."""
        nonce = str(folder.order["nonce"])
        while True:
            if not is_new:
                await asyncio.to_thread(wait_for, folder)
                found = await self._found(nonce, report)
                if found is not None:
                    await asyncio.to_thread(folder.submitted, found.id)
                    return found.id
            is_new = False
            try:
                id = await self._in_turn(folder, job, report, nonce)
            except Ambiguous as error:
                report(Progress(0, 0, "", f"{error}; looks whether it went through"))
                LOGGER.info("lost %s: %s", folder.name, error)
            else:
                LOGGER.info("submitted %s as %s", folder.name, id)
                return id

    async def _in_turn(
        self, folder: JobFolder, job: StageJob, report: Report, nonce: str
    ) -> str:
        """Slurm's ID of the job, after one submission that was not refused for the
        number of the user's jobs. Submissions go one after another: while that limit is
        reached, one of them tries again, not thousands. Raises as `submit`, and
        Deferred if the run does not wait."""
        options = options_of(self._options, job.kind)
        async with self._turn:
            while True:
                self._check(job.name, job.key)
                report(Progress(0, 0, "", "is submitted to Slurm"))
                sending = asyncio.to_thread(submit, folder, nonce, options)
                try:
                    # a signal to this run must not leave a submission half done
                    return await asyncio.shield(asyncio.ensure_future(sending))
                except slurm_commands.LimitReached as error:
                    if not self._wait:
                        raise Deferred(f"{error}; run again later") from error
                    report(Progress(0, 0, "", f"waits for its turn: {error}"))
                    await asyncio.sleep(self._full)

    async def _found(self, nonce: str, report: Report) -> Listed | None:
        """The job with the nonce in Slurm's queue; None if it is not there in two
        listings. Raises Deferred if Slurm does not answer."""
        for _ in range(2):
            seen = await self._queue.next()
            while seen.error:
                self._give_up(seen.silent_for, seen.error, "nothing was submitted")
                report(Progress(0, 0, "", f"{seen.error}; asks again"))
                seen = await self._queue.next()
            if nonce in seen.jobs:
                return seen.jobs[nonce]
        return None

    def _give_up(self, seconds: float, error: str, what: str) -> None:
        """Raises Deferred if Slurm has not answered for too long, or at once if the run
        does not wait for jobs."""
        if not self._wait or seconds >= SILENCE:
            raise Deferred(
                f"{error}; {what}: run again later", under_way=not what.startswith("n")
            )

    # ---- until it has ended

    async def _followed(
        self, folder: JobFolder, id: str, job: StageJob, report: Report
    ) -> Made | Exception:
        """Pass on what a job tells, until its end. Returns its result, the error that
        it raised, or StageFailed if it ended without either. Raises Deferred."""
        nonce = str(folder.order["nonce"])
        tail, shown, over = Tail(folder.messages), "", 0.0
        seen, waits = self._queue.latest, False
        while True:
            if waits:  # there are no news of its files until it runs
                await self._queue.after(seen, PATIENCE)
            for told in await asyncio.to_thread(tail.read):
                if isinstance(told, Told):
                    if shown != STARTS:
                        shown = STARTS
                        report(Progress(0, 0, "", STARTS))
                    report(told.progress)
            result = await asyncio.to_thread(lambda: folder.result)
            if result is not None:
                return _outcome(result, job, folder)
            latest = await self._queue.after(seen, POLL)
            if latest is seen:
                continue
            seen = latest
            if seen.error:
                self._give_up(seen.silent_for, seen.error, f"job {id} goes on")
                report(Progress(0, 0, "", f"{seen.error}; job {id} goes on"))
                shown = ""
                continue
            listed = seen.jobs.get(nonce)
            if listed is None or listed.state in ENDED:
                over = over or time.monotonic()
                locked = await asyncio.to_thread(folder.is_locked)
                if time.monotonic() - over >= self._lag and not locked:
                    options = options_of(self._options, job.kind)
                    return StageFailed(
                        ended(id, listed, folder, job.kind, options),
                        log=str(_log_of(folder)),
                    )
                continue
            over, waits = 0.0, listed.state == "PENDING"
            if not self._wait:
                raise Deferred(f"{in_words(listed)}; run again", under_way=True)
            if listed.state != "RUNNING" or shown != STARTS:
                words = in_words(listed)
                if words != shown:
                    report(Progress(0, 0, "", words))
                    shown = words


def _log_of(folder: JobFolder) -> Path:
    return Request.decode(folder.order["request"].encode()).log


def _outcome(
    result: Mapping[str, Any], job: StageJob, folder: JobFolder
) -> Made | Exception:
    """The job's result, or its error, from the last message of its folder."""
    message = decode(json.dumps(result).encode())
    match message:
        case Done(_, made):
            return made
        case Failed():
            return error_of(message, _log_of(folder))
    return StageFailed(f"{folder.path}/result.json holds no result of {job.name}")
