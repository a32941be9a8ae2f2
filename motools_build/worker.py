"""`python -m motools_build.worker`: heavy stages, out of the host's process.

A line of standard input is a JSON list of `{"job": ..., "log": PATH}`; they are done
one after another, each in a child of its own. For each, lines of standard output say
`{"key", "progress"}`, and in the end `{"key", "made"}`, `{"key", "failed"}` or
`{"key", "died"}`. What the job itself prints goes to its log.

The worker imports what its jobs need and loads base weights once; a child is forked
from it and shares both. So an eval cannot leave modules, patches or another working
folder behind for the next one. The worker has no threads, which makes forking safe.
It ends with its whole process group as soon as its input does.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from motools_build import backends
from motools_build.backends.base import Given, Job, Progress

Send = Callable[[dict[str, Any]], None]


def main() -> None:
    channel = os.dup(1)
    os.dup2(2, 1)  # whatever prints, prints elsewhere
    host = _Lines(0)
    while True:
        while not host.waiting:
            host.listen()
        for request in json.loads(host.waiting.popleft()):
            _supervise(request, channel, host)


class _Lines:
    """Lines of a file descriptor, as they come."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.waiting: deque[bytes] = deque()
        self._rest = b""

    def read(self) -> list[bytes] | None:
        """The whole lines that are there now; None at the end."""
        data = os.read(self.descriptor, 1 << 16)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def listen(self) -> None:
        """Take in what the host sends; the end of it is the end of the worker."""
        lines = self.read()
        if lines is None:
            os.killpg(0, signal.SIGKILL)
        self.waiting.extend(lines or [])


def _supervise(request: dict[str, Any], channel: int, host: _Lines) -> None:
    """Do one job in a child; pass on its messages, and say how it died if it did."""
    fields = request["job"]
    fields["given"] = {k: Given(**given) for k, given in fields["given"].items()}
    job = Job(**fields)
    reader, writer = os.pipe()
    prepared = _prepared(job, request["log"])
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.close(channel)
        os._exit(_child(job, request["log"], writer, prepared))
    os.close(writer)
    messages = _Lines(reader)
    finished = False
    while True:
        ready, _, _ = select.select([reader, host.descriptor], [], [])
        if host.descriptor in ready:
            host.listen()
        if reader in ready:
            lines = messages.read()
            if lines is None:
                break
            for line in lines:
                os.write(channel, line + b"\n")
                finished = b'"progress"' not in line or finished
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if not finished:
        code = os.waitstatus_to_exitcode(status)
        message = json.dumps({"key": job.key, "died": code})
        os.write(channel, message.encode() + b"\n")


def _prepared(job: Job, log: str) -> BaseException | None:
    """Import and load what the job's child should find ready. The error, if that
    fails, is the child's to report."""
    try:
        with _logged(log):
            backends.get(job.backend).prepare(job)
    except BaseException as error:  # noqa: BLE001 - the child reports it
        return error
    return None


def _child(job: Job, log: str, writer: int, prepared: BaseException | None) -> int:
    """The job itself; the exit code of its process."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # an eval that reads it must not wait
    # a task's modules come from their source: the bytecode cache takes an edit within
    # a second that keeps the size for no edit
    sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull

    def send(message: dict[str, Any]) -> None:
        os.write(writer, json.dumps(message).encode() + b"\n")

    def report(progress: Progress) -> None:
        send({"key": job.key, "progress": asdict(progress)})

    began = time.monotonic()
    try:
        with _logged(log):
            if prepared is not None:
                raise prepared
            made = backends.get(job.backend).work(job, report)
        made = replace(made, seconds=time.monotonic() - began)
    except BaseException as error:  # noqa: BLE001 - sent to the host, which raises it
        failed = {"type": type(error).__name__, "message": str(error)}
        send({"key": job.key, "failed": failed})
    else:
        send({"key": job.key, "made": asdict(made)})
    return 0


@contextmanager
def _logged(path: str) -> Iterator[None]:
    """Standard output and error into a file, and a traceback if it comes to that; the
    file goes if nothing was written."""
    path = os.path.abspath(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    before = os.dup(1), os.dup(2)
    with open(path, "ab", buffering=0) as log:
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, saved in enumerate(before, 1):
                os.dup2(saved, number)
                os.close(saved)
    if os.path.getsize(path) == 0:
        os.remove(path)


if __name__ == "__main__":
    main()
