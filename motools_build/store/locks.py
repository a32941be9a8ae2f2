"""Locks among processes, one per key. The kernel releases them when the process dies.

Each lock is a byte of one file (docs/decisions/0009: a file for each lock would be made
and removed for each stage, which slows down some file systems).

A user's own task or setting may read or copy all files below `artifacts/` in a process
that holds locks, and that must not release them. On Linux the locks are open file
description locks. They belong to our handle, so other handles of the file may be
closed. Other systems (macOS) have only POSIX record locks, which belong to the process:
closing any handle of the file releases all of its locks. There each lock is also an
exclusive `flock` of a small file of its own in `lock.d/`, which belongs to its handle.
The record lock is kept for earlier versions of this package, which know no other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from motools_build.errors import ArtifactError

POLL = 0.1
"""Seconds between attempts to take a lock that another process holds."""


@dataclass
class _Open:
    """The lock file, open as long as this process holds a lock: closing it releases all
    of them."""

    path: str
    handle: int
    held: dict[int, int | None] = field(default_factory=dict)
    """Offset of each locked byte -> handle of its own `flock` file; None where the
    byte's lock suffices."""


_FILES: dict[str, _Open] = {}
"""Path -> the open lock file of this process, which all `Locks` of the path share."""

_TURN = threading.Lock()


class Locks:
    """The locks of a folder. A process, not a thread, holds a key's lock: a second
    `take` in another thread fails."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._path = os.path.abspath(file)

    def take(self, key: str) -> bool:
        """Take the key's lock without waiting; False if this process or another holds
        it.

        Raises ArtifactError if the file system has no locks, or if the lock file cannot
        be opened or was removed.
        """
        place = _place(key)
        with self._opened() as file:
            try:
                if place in file.held or not _take(file, place):
                    return False
            except OSError as error:
                raise ArtifactError(
                    f"{self._file} cannot be locked ({error.strerror}), and without "
                    "locks two runs might make one stage: put artifacts/ on a file "
                    "system with POSIX locks"
                ) from error
            if not os.fstat(file.handle).st_nlink:
                _drop(file, place)
                raise ArtifactError(
                    f"{self._file} was removed under this run, and another run might "
                    "make the same stages; run again"
                )
            return True

    def drop(self, key: str) -> None:
        """Release the key's lock, which this process must hold."""
        with self._opened() as file:
            _drop(file, _place(key))

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Hold the key's lock, which excludes all other processes. Waits for it."""
        while not self.take(key):
            time.sleep(POLL)
        try:
            yield
        finally:
            self.drop(key)

    def taken(self, key: str) -> bool:
        """Whether any process, this one included, holds the key's lock. Needs only read
        access, because the folder may be another user's."""
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
                return _taken(handle, place) or _flocked(self._path, place)
            except OSError:  # a file system without locks: no run can work on it
                return False
            finally:
                if file is None:
                    os.close(handle)

    @contextmanager
    def _opened(self) -> Iterator[_Open]:
        with _TURN:
            file = _FILES.get(self._path)
            if file is None:
                try:
                    file = _FILES[self._path] = _Open(self._path, _open(self._path))
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


def _take(file: _Open, place: int) -> bool:
    """Try to lock a byte; returns whether that succeeded. Raises OSError if the file
    system has no locks."""
    try:
        is_ours_alone = _set(file.handle, fcntl.F_WRLCK, place)
    except (BlockingIOError, PermissionError):  # POSIX allows both for a locked byte
        return False
    own = None if is_ours_alone else _flock(file.path, place)
    if own is None and not is_ours_alone:
        _set(file.handle, fcntl.F_UNLCK, place)
        return False
    file.held[place] = own
    return True


def _drop(file: _Open, place: int) -> None:
    own = file.held.pop(place)
    if own is not None:
        with suppress(FileNotFoundError):
            os.unlink(_own_file(file.path, place))
        os.close(own)
    _set(file.handle, fcntl.F_UNLCK, place)


# ---- a byte of the lock file

FLOCK = "hhqqi4x"
"""`struct flock` of 64-bit Linux: type, whence, start, length, process."""

_OFD = getattr(fcntl, "F_OFD_SETLK", None) if sys.maxsize > 2**32 else None
"""Linux's fcntl command for open file description locks; None on other systems, and on
32 bits, where `FLOCK` would be wrong."""


def _set(handle: int, kind: int, place: int) -> bool:
    """Lock or unlock a byte without waiting. Returns True if the lock belongs to the
    handle, False if it belongs to the process. Raises BlockingIOError or
    PermissionError for a byte that another has locked, and OSError."""
    if _OFD is not None:
        with suppress(_NoSuchLocks):
            _described(handle, _OFD, kind, place)
            return True
    if kind == fcntl.F_UNLCK:
        fcntl.lockf(handle, fcntl.LOCK_UN, 1, place)
    else:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    return False


def _taken(handle: int, place: int) -> bool:
    """Whether another handle or another process has locked the byte."""
    if _OFD is not None:
        with suppress(_NoSuchLocks):
            return _described(handle, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, place)
    try:
        fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
    except (BlockingIOError, PermissionError):
        return True
    fcntl.lockf(handle, fcntl.LOCK_UN, 1, place)
    return False


class _NoSuchLocks(Exception):
    """The file system has no open file description locks."""


def _described(handle: int, command: int, kind: int, place: int) -> bool:
    """Run an fcntl command for open file description locks. For the query F_OFD_GETLK,
    returns whether the byte is locked. Raises _NoSuchLocks, and OSError."""
    wanted = struct.pack(FLOCK, kind, os.SEEK_SET, place, 1, 0)
    try:
        found = fcntl.fcntl(handle, command, wanted)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise _NoSuchLocks from error
        raise
    return bool(struct.unpack(FLOCK, found)[0] != fcntl.F_UNLCK)


# ---- one file per lock, on systems where the byte's lock belongs to the process


def _own_file(path: str, place: int) -> str:
    return f"{path}.d/{place:x}"


def _flock(path: str, place: int) -> int | None:
    """Lock the byte's own file without waiting. Returns its handle, or None if it is
    locked already."""
    name = _own_file(path, place)
    while True:
        handle = _open(name)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(name), os.fstat(handle)):
                return handle
        os.close(handle)  # the last holder has just removed this file: make another


def _flocked(path: str, place: int) -> bool:
    """Whether the byte's own file is locked, by this process or another."""
    try:
        handle = os.open(_own_file(path, place), os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _place(key: str) -> int:
    """Offset of the key's byte: a 60-bit hash, so that no two keys share a byte."""
    return xxhash.xxh3_64_intdigest(key.encode()) >> 4


def _open(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def _forget_in_child() -> None:
    """Close the lock files in a forked child, which holds none of its parent's locks.
    The parent's handles, and with them its locks, stay."""
    global _TURN
    _TURN = threading.Lock()
    while _FILES:
        file = _FILES.popitem()[1]
        for handle in (file.handle, *file.held.values()):
            if handle is not None:
                os.close(handle)


os.register_at_fork(after_in_child=_forget_in_child)
