"""Worker processes of this host: a bounded pool, kept warm between stages.

A worker is `python -m motools_build.running.worker`: a line of its standard input is
one or several jobs as JSON, a line of its standard output is progress or a result. It
ends when its input does, so it cannot outlive this process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from motools_build import errors
from motools_build.backends.base import Job, Made, Progress, Report, Together
from motools_build.store.upkeep import TOGETHER

GATHER = 0.1
"""Seconds without another job that is ready, after which those that are ready begin."""

LINE_LIMIT = 1 << 26
"""Bytes that one message of a worker may have."""
STARTS = "starts"
"""Told of what had to wait, and does no longer."""

SINGLE_THREADED = (
    *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
"""Inside a product; the engine itself runs threads over examples. Threads within
threads cost up to ten times on a busy machine."""


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: nothing in it changes results unseen.

    Inspect takes its model, limits and much else from INSPECT_* and from a `.env` of
    any folder above; what an eval is made with is in its key, or it is not used.
    """
    kept = {k: v for k, v in environ.items() if not k.startswith("INSPECT_")}
    return {
        **kept,
        **dict.fromkeys(SINGLE_THREADED, "1"),
        "OMP_WAIT_POLICY": "passive",
        "INSPECT_DISPLAY": "none",
        "PYTHON_DOTENV_DISABLED": "1",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


@dataclass
class _Asked:
    """A job that waits for the others it is worked on with."""

    job: Job
    log: Path
    report: Report
    outcome: asyncio.Future[Made]
    waits: bool = False
    """Whether it was told to wait for the call before it."""


@dataclass
class _Line:
    """Jobs of one account: one call of them is under way at a time."""

    waiting: dict[str, list[_Asked]] = field(default_factory=dict)
    """By what they have in common."""
    server: asyncio.Task[None] | None = None
    latest: float = 0.0
    """When the last one came, by the loop's clock."""
    busy: bool = False
    """Whether a call is under way."""


class WorkerPool:
    """At most `size` workers, started when first needed; besides them one for each
    account, whose jobs wait for the network together."""

    def __init__(self, size: int, log: Path) -> None:
        self._free = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._lines: dict[str, _Line] = {}
        self._log = log
        """Where a worker writes before it has a job."""

    async def run(self, job: Job, log: Path, report: Report) -> Made:
        """Do one job in a worker. If the worker dies, the job is tried once more.

        Raises what the job raised, or WorkerDied.
        """
        waits = self._free.locked()
        if waits:
            report(Progress(0, 0, "", "waits for a worker"))
        async with self._free:
            if waits:
                report(Progress(0, 0, "", STARTS))
            asked = _Asked(job, log, report, asyncio.Future())
            for _ in range(2):
                outcome = (await self._attempt([asked], None, log))[job.key]
                if not isinstance(outcome, errors.WorkerDied):
                    break
        return _unwrapped(outcome)

    async def run_together(
        self, job: Job, together: Together, folder: Path, log: Path, report: Report
    ) -> Made:
        """Do a job in one call with others like it that are ready, `folder` being
        theirs. If the worker dies, each that was unfinished is tried once more, alone.

        Raises what the job raised, or WorkerDied.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(job, log, report, loop.create_future())
        line = self._lines.setdefault(together.line, _Line())
        line.waiting.setdefault(together.call, []).append(asked)
        line.latest = loop.time()
        if line.server is None:
            line.server = asyncio.create_task(self._serve(line, folder))
        if line.busy:
            asked.waits = True
            report(Progress(0, 0, "", "waits for the evals before it"))
        return await asked.outcome

    async def close(self) -> None:
        """End all workers."""
        servers = [line.server for line in self._lines.values() if line.server]
        for server in servers:
            server.cancel()
        if servers:
            await asyncio.wait(servers)
        while self._idle:
            await self._idle.pop().end()

    async def _serve(self, line: _Line, folder: Path) -> None:
        """One call after another, until nobody waits."""
        loop = asyncio.get_running_loop()
        while line.waiting:
            while (quiet := loop.time() - line.latest) < GATHER:
                await asyncio.sleep(GATHER - quiet)
            call = next(iter(line.waiting))
            asked = line.waiting.pop(call)
            line.busy = True
            try:
                await self._do_together(asked, folder / (TOGETHER + call))
            except Exception as error:  # noqa: BLE001 - handed to each that waits
                for one in asked:
                    if not one.outcome.done():
                        one.outcome.set_exception(error)
            line.busy = False
        line.server = None

    async def _do_together(self, asked: list[_Asked], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for one in asked:
            if one.waits:
                one.report(Progress(0, 0, "", STARTS))
        outcomes = await self._attempt(asked, folder, asked[0].log)
        for one in asked:
            outcome = outcomes[one.job.key]
            if isinstance(outcome, errors.WorkerDied):
                outcome = (await self._attempt([one], folder, one.log))[one.job.key]
            if one.outcome.done():  # cancelled
                continue
            if isinstance(outcome, Exception):
                one.outcome.set_exception(outcome)
            else:
                one.outcome.set_result(outcome)
        with suppress(OSError):  # not empty: an unfinished log, of another run
            folder.rmdir()

    async def _attempt(
        self, asked: list[_Asked], folder: Path | None, log: Path
    ) -> dict[str, Made | Exception]:
        worker = self._idle.pop() if self._idle else await _Worker.start(self._log)
        try:
            outcomes = await worker.do(asked, folder, log)
        except BaseException:  # cancelled: do not let it work on
            await worker.end()
            raise
        if any(isinstance(o, errors.WorkerDied) for o in outcomes.values()):
            await worker.end()
        else:
            self._idle.append(worker)
        return outcomes


def _unwrapped(outcome: Made | Exception) -> Made:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, log: Path) -> _Worker:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as errors_to:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "motools_build.running.worker"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors_to,
                env=worker_environment(os.environ),
                limit=LINE_LIMIT,
                start_new_session=True,  # Ctrl-C is the host's; ends as a group
            )
        return cls(process)

    async def do(
        self, asked: list[_Asked], folder: Path | None, log: Path
    ) -> dict[str, Made | Exception]:
        """What came of each job, by key; WorkerDied of those that had no end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "jobs": [asdict(one.job) for one in asked],
            "log": str(log),
            "folder": str(folder) if folder else None,
        }
        reports = {one.job.key: one.report for one in asked}
        outcomes: dict[str, Made | Exception] = {}
        with suppress(BrokenPipeError, ConnectionResetError):  # it is dead: see below
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            await self._process.stdin.drain()
        code: int | None = None
        while code is None and (line := await self._process.stdout.readline()):
            message = json.loads(line)
            if "progress" in message:
                reports[message["key"]](Progress(**message["progress"]))
            elif "made" in message:
                outcomes[message["key"]] = Made(**message["made"])
            elif "failed" in message:
                outcomes[message["key"]] = _failure(message["failed"], log)
            else:
                code = message["ended"]
        if len(outcomes) < len(asked):
            death = self._death(
                await self._process.wait() if code is None else code, log
            )
            outcomes.update({key: death for key in reports if key not in outcomes})
        return outcomes

    def _death(self, code: int, log: Path) -> errors.WorkerDied:
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

    async def end(self) -> None:
        """Kill the worker, its job and whatever that started; wait for the worker."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        # the pipe's transport would warn at exit if left to the garbage collector
        self._process._transport.close()  # type: ignore[attr-defined]


def _failure(failed: Mapping[str, Any], log: Path) -> Exception:
    """The error of a worker, as the class that it was there, if it is ours."""
    kind = getattr(errors, failed["type"], None)
    if isinstance(kind, type) and issubclass(kind, errors.MotoolsError):
        error = kind(failed["message"])
        if isinstance(error, errors.StageFailed):
            error.log = str(log)
        return error
    return errors.StageFailed(
        f"{failed['type']}: {failed['message']}; the traceback is in its log",
        log=str(log),
    )
