"""Locks among processes, by key, which the kernel drops at any death.

Each is a byte of one file. A file for each lock would be made and removed for each
stage, and there are file systems on which thousands of removed files slow down every
new one.

On Linux they are open file description locks, which belong to our handle: a user's own
code that opens and closes the file gives up none of them. Elsewhere they are POSIX
record locks, which belong to the process, and any close of the file in it gives up.
The two exclude each other, and network file systems have both (docs/decisions/0009).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from motools_build.errors import ArtifactError


@dataclass
class _Open:
    """The file, open as long as this process holds a lock: closing it gives up all of
    them."""

    handle: int
    held: set[int] = field(default_factory=set)


_FILES: dict[str, _Open] = {}
"""Of this process, by path; all `Locks` of a path share one."""

_TURN = threading.Lock()


class Locks:
    """The locks of a folder. A process has a key's lock once, whatever its threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._path = os.path.abspath(file)

    def take(self, key: str) -> bool:
        """Whether the key's lock is this process's now; False if it was taken already.

        Raises ArtifactError where the file system has no locks.
        """
        place = _place(key)
        with self._opened() as file:
            try:
                if place in file.held or not _try(file.handle, fcntl.LOCK_EX, place):
                    return False
            except OSError as error:
                raise ArtifactError(
                    f"{self._file} cannot be locked ({error.strerror}), and without "
                    "locks two runs might make one stage: put artifacts/ on a file "
                    "system with POSIX locks"
                ) from error
            if not os.fstat(file.handle).st_nlink:
                raise ArtifactError(
                    f"{self._file} was removed under this run, and another run might "
                    "make the same stages; run again"
                )
            file.held.add(place)
            return True

    def drop(self, key: str) -> None:
        """Give up the lock, which this process holds."""
        place = _place(key)
        with self._opened() as file:
            file.held.remove(place)
            _set(file.handle, fcntl.LOCK_UN, place)

    def taken(self, key: str) -> bool:
        """Whether a process has it, this one included. Asks for no more than to read:
        a folder may be another user's."""
        place = _place(key)
        with _TURN:
            file = _FILES.get(self._path)
            if file and place in file.held:
                return True
            try:
                handle = file.handle if file else os.open(self._path, os.O_RDONLY)
            except FileNotFoundError:
                return False
            try:
                if not _try(handle, fcntl.LOCK_SH, place):
                    return True
                _set(handle, fcntl.LOCK_UN, place)
            except OSError:  # no locks here: then no run can make anything here either
                return False
            finally:
                if file is None:
                    os.close(handle)
        return False

    @contextmanager
    def _opened(self) -> Iterator[_Open]:
        with _TURN:
            file = _FILES.get(self._path)
            if file is None:
                try:
                    file = _FILES[self._path] = _Open(_open(self._path))
                except OSError as error:
                    raise ArtifactError(
                        f"{self._file} cannot be opened ({error.strerror}): a run "
                        "keeps its locks there; mend its permissions, or remove what "
                        "lies in its place"
                    ) from error
            try:
                yield file
            finally:
                if not file.held:
                    os.close(_FILES.pop(self._path).handle)


def _try(handle: int, kind: int, place: int) -> bool:
    """Whether the lock is had now. Raises OSError where there are no locks."""
    try:
        _set(handle, kind, place)
    except (BlockingIOError, PermissionError):  # either is what POSIX allows
        return False
    return True


_OFD = getattr(fcntl, "F_OFD_SETLK", None) if sys.maxsize > 2**32 else None
"""Linux's command for open file description locks, where `FLOCK` is its argument."""

FLOCK = "hhqqi4x"
"""type, whence, start, length, process: `struct flock` of 64-bit Linux."""

TYPES = {
    fcntl.LOCK_EX: fcntl.F_WRLCK,
    fcntl.LOCK_SH: fcntl.F_RDLCK,
    fcntl.LOCK_UN: fcntl.F_UNLCK,
}


def _set(handle: int, kind: int, place: int) -> None:
    """Lock or unlock a byte, now. Raises OSError."""
    if _OFD is not None:
        wanted = struct.pack(FLOCK, TYPES[kind], os.SEEK_SET, place, 1, 0)
        try:
            fcntl.fcntl(handle, _OFD, wanted)
            return
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that has none of them
                raise
    wait = 0 if kind == fcntl.LOCK_UN else fcntl.LOCK_NB
    fcntl.lockf(handle, kind | wait, 1, place)


def _place(key: str) -> int:
    """The key's byte: one of 2^60, so that no two keys share one."""
    return xxhash.xxh3_64_intdigest(key.encode()) >> 4


def _open(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def _forget_in_child() -> None:
    """A forked child has none of its parent's locks: it closes the handle that both
    have, and the parent's stays."""
    global _TURN
    _TURN = threading.Lock()
    while _FILES:
        os.close(_FILES.popitem()[1].handle)


os.register_at_fork(after_in_child=_forget_in_child)
