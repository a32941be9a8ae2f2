"""The launcher `forked`, which gets workers from the tests' fork server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from motools_build.running.launch.base import Worker, worker_environment
from motools_build.running.launch.local import LINE_LIMIT, LocalLauncher
from motools_build.running.launch.messages import Ended, Message, Request, decode
from tests.forking import protocol
from tests.forking.client import SOCKET


class ForkingLauncher:
    """Asks the server to fork each worker; if it refuses, starts a real process."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._local = LocalLauncher(options)

    async def start(self, log: Path) -> Worker:
        log.parent.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        asked = socket.socket(socket.AF_UNIX)
        asked.setblocking(False)
        await loop.sock_connect(asked, os.environ[SOCKET])
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        with open(log, "ab") as errors_to:
            header, text = protocol.encoded(
                ["--with-host"], os.getcwd(), worker_environment(os.environ)
            )
            theirs = [theirs_in, theirs_out, errors_to.fileno()]
            socket.send_fds(asked, [header], theirs)
            await loop.sock_sendall(asked, text)
        os.close(theirs_in)
        os.close(theirs_out)
        answers, asking = await asyncio.open_unix_connection(sock=asked)
        first = json.loads(await answers.readline())
        if "refused" in first:
            asking.close()
            os.close(ours_in)
            os.close(ours_out)
            return await self._local.start(log)
        messages = asyncio.StreamReader(limit=LINE_LIMIT)
        reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(messages), os.fdopen(ours_out, "rb")
        )
        writing, flow = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(ours_in, "wb")
        )
        requests = asyncio.StreamWriter(writing, flow, None, loop)
        return _ForkedWorker(
            first["process"], requests, messages, answers, (asking, reading)
        )


class _ForkedWorker:
    def __init__(
        self,
        process: int,
        requests: asyncio.StreamWriter,
        messages: asyncio.StreamReader,
        answers: asyncio.StreamReader,
        open_: tuple[asyncio.StreamWriter, asyncio.ReadTransport],
    ) -> None:
        self._process = process
        self._requests = requests
        self._messages = messages
        self._answers = answers
        self._open = open_
        self._code: int | None = None

    async def send(self, request: Request) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self._requests.write(request.encode())
            await self._requests.drain()

    async def receive(self) -> Message:
        line = await self._messages.readline()
        return decode(line) if line else Ended(await self._wait())

    async def end(self) -> None:
        if self._code is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process, signal.SIGKILL)
        await self._wait()
        self._requests.close()
        for one in self._open:
            one.close()

    async def _wait(self) -> int:
        if self._code is None:
            self._code = json.loads(await self._answers.readline())["code"]
        return self._code
