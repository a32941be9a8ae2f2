"""Worker processes of this host: a bounded pool, kept warm between stages.

A worker is `python -m motools_build.worker`: a line of its standard input is a list
of jobs as JSON, a line of its standard output is progress or a result. It ends when
its input does, so it cannot outlive this process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from motools_build import errors
from motools_build.backends.base import Job, Made, Progress, Report

LINE_LIMIT = 1 << 26
"""Bytes that one message of a worker may have."""

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


class WorkerPool:
    """At most `size` workers, started when first needed."""

    def __init__(self, size: int, log: Path) -> None:
        self._free = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._log = log
        """Where a worker writes before it has a job."""

    async def run(self, job: Job, log: Path, report: Report) -> Made:
        """Do one job in a worker. If the worker dies, the job is tried once more.

        Raises what the job raised, or WorkerDied.
        """
        if self._free.locked():
            report(Progress(0, 0, "", "waits for a worker"))
        async with self._free:
            try:
                return await self._attempt(job, log, report)
            except errors.WorkerDied:
                return await self._attempt(job, log, report)

    async def close(self) -> None:
        """End all workers that wait for work."""
        while self._idle:
            await self._idle.pop().end()

    async def _attempt(self, job: Job, log: Path, report: Report) -> Made:
        worker = self._idle.pop() if self._idle else await _Worker.start(self._log)
        try:
            made = await worker.do(job, log, report)
        except errors.WorkerDied:
            await worker.end()
            raise
        except errors.MotoolsError:
            self._idle.append(worker)  # the job failed, the worker is well
            raise
        except BaseException:  # cancelled: do not let it work on
            await worker.end()
            raise
        self._idle.append(worker)
        return made


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, log: Path) -> _Worker:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as errors_to:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "motools_build.worker"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors_to,
                env=worker_environment(os.environ),
                limit=LINE_LIMIT,
                start_new_session=True,  # Ctrl-C is the host's; ends as a group
            )
        return cls(process)

    async def do(self, job: Job, log: Path, report: Report) -> Made:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = json.dumps([{"job": asdict(job), "log": str(log)}])
        try:
            self._process.stdin.write(request.encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._death(await self._process.wait(), log) from error
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            if "progress" in message:
                report(Progress(**message["progress"]))
            elif "made" in message:
                return Made(**message["made"])
            elif "failed" in message:
                raise _failure(message["failed"], log)
            else:
                raise self._death(message["died"], log)
        raise self._death(await self._process.wait(), log)

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
