"""The launcher for this machine. Its workers are processes that end with the host."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from motools_build.errors import InputError
from motools_build.running.launch.base import Worker, worker_environment
from motools_build.running.launch.messages import Ended, Message, Request, decode

LINE_LIMIT = 1 << 26
"""Largest size of one message of a worker, in bytes."""


class LocalLauncher:
    """Starts a process for each worker. However the host's process ends, the operating
    system closes its end of the pipe to the worker, and then the worker ends, too."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        if options:
            raise InputError(
                "pyproject.toml: [tool.motools_build.launchers.local] has no "
                f"{', '.join(options)}; workers of this machine take no options"
            )

    async def start(self, log: Path) -> Worker:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as errors_to:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "motools_build.running.worker", "--with-host"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors_to,
                env=worker_environment(os.environ),
                limit=LINE_LIMIT,
                start_new_session=True,  # no Ctrl-C; `end` kills the whole group
            )
        return _LocalWorker(process)


class _LocalWorker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def send(self, request: Request) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(request.encode())
            await self._process.stdin.drain()

    async def receive(self) -> Message:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        return decode(line) if line else Ended(await self._process.wait())

    async def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        # asyncio would warn at exit about a transport that is not closed
        self._process._transport.close()  # type: ignore[attr-defined]
