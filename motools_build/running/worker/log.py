"""The jobs' output: read from a pipe, and written to their log without secrets."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from motools_build.text.scrub import learn, scrub

PIPE_READS = 64
"""Number of reads after which even a full pipe is empty: Linux limits it to 1 MiB."""

LONGEST = 1 << 20
"""Longest line in bytes that is logged whole; longer lines are logged in parts."""


class Log:
    """The log of a request's jobs. The file is created at the first output."""

    def __init__(self, path: Path, printed: int) -> None:
        self._path = path
        self._printed = printed
        self._rest = b""

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *about: object) -> None:
        """Read what is left, but no more than a pipe holds, since a process that a job
        left behind may continue to print."""
        os.set_blocking(self._printed, False)
        with suppress(BlockingIOError):
            for _ in range(PIPE_READS):
                if not self.take_in():
                    break
        os.close(self._printed)
        self._append(self._rest)

    def take_in(self) -> bool:
        """Read output from the pipe and log its complete lines. Returns False at the
        end of the output."""
        data = os.read(self._printed, 1 << 16)
        self.write(data)
        return bool(data)

    def write(self, data: bytes) -> None:
        """Append data to the log, in complete lines, because a secret that is split
        between two reads could not be recognized."""
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        if len(self._rest) > LONGEST:
            newline, self._rest = newline + self._rest, b""
        self._append(whole + newline)

    def _append(self, data: bytes) -> None:
        if not data:
            return
        learn(os.environ)
        text = scrub(data.decode("utf-8", "surrogateescape"))
        os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
        with open(self._path, "ab") as file:
            file.write(text.encode("utf-8", "surrogateescape"))


@contextmanager
def printing_to(descriptor: int) -> Iterator[None]:
    """Redirect standard output and error to a file descriptor. The traceback of an
    exception is printed there, too."""
    before = os.dup(1), os.dup(2)
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
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
