"""What jobs print: taken from a pipe to their log, without the values of keys."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from motools_build.text.scrub import learn, scrub

PIPE_READS = 64
"""Reads after which a pipe that was full is empty: Linux lets none be over 1 MiB."""

LONGEST = 1 << 20
"""Bytes of a line after which the log has it in parts."""


class Log:
    """The log of a request's jobs. Its file is made when something is printed."""

    def __init__(self, path: Path, printed: int) -> None:
        self._path = path
        self._printed = printed
        self._rest = b""

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *about: object) -> None:
        """Take in what is left: no more than a pipe holds, since a process that the
        job left behind may print on."""
        os.set_blocking(self._printed, False)
        with suppress(BlockingIOError):
            for _ in range(PIPE_READS):
                if not self.take_in():
                    break
        os.close(self._printed)
        self._append(self._rest)

    def take_in(self) -> bool:
        """Write down the whole lines of what was printed; False at its end."""
        data = os.read(self._printed, 1 << 16)
        self.write(data)
        return bool(data)

    def write(self, data: bytes) -> None:
        """Write down whole lines, since a key may come in two parts."""
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
    """Standard output and error to a file or a pipe, and a traceback if it comes to
    that."""
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
