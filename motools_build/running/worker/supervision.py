"""The main process of a worker: reads requests, and does each in a forked child.

A request is a line of standard input. Messages about it are lines of standard output
(see `running/launch/messages.py`). A job's output passes through the worker, which
removes secrets, and is appended to the log of the request.

The worker imports the packages that its jobs need and loads base weights once; the
children share both. Since each request has its own child, an eval cannot leave modules,
patches or another working directory behind for the next one. The worker has no threads,
which makes forking safe.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from motools_build.backends import registry
from motools_build.backends.job import StageJob
from motools_build.running.launch.messages import Ended, Request, encode
from motools_build.running.worker import child
from motools_build.running.worker.log import Log, printing_to
from motools_build.task_code.audit import WATCH
from motools_build.text.scrub import learn

LOOK = 1.0
"""Seconds between two looks whether a job is still wanted."""


def main(with_host: bool = False) -> None:
    """Do requests until standard input ends.

    With `with_host`, the end of the input means that the host has died: the worker
    kills its whole process group at once, even in the middle of a job.
    """
    learn(os.environ)
    channel = os.dup(1)
    os.dup2(2, 1)  # standard output is for messages: prints go to standard error
    host = _Host(0, with_host)
    WATCH.start(os.getcwd())
    while (line := host.request()) is not None:
        _supervise(Request.decode(line), channel, host)


def once(
    request: Request, channel: int, unwanted: Callable[[], bool] = lambda: False
) -> None:
    """Do one request without a host, with messages to the file descriptor `channel`.
    Its child is killed once the request is `unwanted`. From then on, this process's
    standard output is standard error."""
    learn(os.environ)
    os.dup2(2, 1)
    host = _Host(0, needed=False)
    host.over = True
    WATCH.start(os.getcwd())
    _supervise(request, channel, host, unwanted)


class _Lines:
    """Reads complete lines from a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._rest = b""

    def read(self) -> list[bytes] | None:
        """The complete lines that are available after one read; None at the end."""
        data = os.read(self.descriptor, 1 << 16)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


class _Host(_Lines):
    """The input from the host: a queue of requests, filled while one is in progress."""

    def __init__(self, descriptor: int, needed: bool) -> None:
        super().__init__(descriptor)
        self.over = False
        """Whether the input has ended."""
        self._needed = needed
        self._waiting: deque[bytes] = deque()

    def request(self) -> bytes | None:
        """Wait for the next request; None if the input has ended."""
        while not self._waiting and not self.over:
            self.listen()
        return self._waiting.popleft() if self._waiting else None

    def listen(self) -> None:
        """Read the available input. If it has ended and the host is needed, kill the
        worker's process group."""
        lines = self.read()
        if lines is None:
            self.died()
        self.over = lines is None
        self._waiting.extend(lines or [])

    def died(self) -> None:
        """If the host is needed, kill the worker's process group."""
        if self._needed:
            os.killpg(0, signal.SIGKILL)


@dataclass
class _Ending:
    """Kills a child process that is not wanted any more."""

    process: int
    unwanted: Callable[[], bool]
    seen: float = 0.0
    """When it was looked last."""

    def look(self) -> None:
        """Kill the child if it is not wanted; looks at most once in LOOK seconds."""
        now = time.monotonic()
        if now - self.seen >= LOOK:
            self.seen = now
            if self.unwanted():
                os.kill(self.process, signal.SIGKILL)


def _supervise(
    request: Request,
    channel: int,
    host: _Host,
    unwanted: Callable[[], bool] = lambda: False,
) -> None:
    """Do the request in a child process. Its messages and its exit code are sent to the
    host."""
    reader, writer = os.pipe()
    printed, printer = os.pipe()
    with Log(request.log, printed) as log:
        prepared = _prepared(request.jobs[0], log)
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if process == 0:
            for descriptor in (reader, channel, printed):
                os.close(descriptor)
            os._exit(child.do(request, writer, printer, prepared))
        os.close(writer)
        os.close(printer)
        meanwhile = _Ending(process, unwanted)
        try:
            _pass_on(_Lines(reader), log, printed, channel, host, meanwhile)
        except BaseException as error:
            if isinstance(error, BrokenPipeError):  # the host died during a message
                host.died()
            # nobody would watch the child, which might then work beside its successor
            os.kill(process, signal.SIGKILL)
            raise
        os.close(reader)
        _, status = os.waitpid(process, 0)
    os.write(channel, encode(Ended(os.waitstatus_to_exitcode(status))))


def _pass_on(
    messages: _Lines,
    log: Log,
    printed: int,
    channel: int,
    host: _Host,
    ending: _Ending,
) -> None:
    """Send the child's messages to the host, and its output to the log, until it closes
    its messages. Meanwhile, watch whether the host is still alive, and whether the
    child is wanted."""
    watched = [messages.descriptor, printed]
    while True:
        listening = watched if host.over else [*watched, host.descriptor]
        ready, _, _ = select.select(listening, [], [], LOOK if host.over else None)
        if host.over:
            ending.look()
        if host.descriptor in ready:
            host.listen()
        if printed in ready and not log.take_in():
            watched.remove(printed)
        if messages.descriptor in ready:
            lines = messages.read()
            if lines is None:
                return
            for line in lines:
                os.write(channel, line + b"\n")


def _prepared(job: StageJob, log: Log) -> BaseException | None:
    """Import and load in the worker what its children share. Returns the error if that
    fails, and the child reports it; else None."""
    with tempfile.TemporaryFile() as said:
        try:
            with printing_to(said.fileno()):
                registry.get(job.backend).prepare(job)
        except BaseException as error:  # noqa: BLE001 - the child reports it
            return error
        finally:
            said.seek(0)
            log.write(said.read())
    return None
