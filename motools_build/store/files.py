"""Writing files so that they survive a crash, and deleting without following links."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write(path: Path, data: bytes) -> None:
    """Write a file; it is on the disk on return."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def append(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Append whole lines to a file; with `sync` they are on the disk on return. Raises
    OSError if the disk is full; the last line may then be cut short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            data = b"\n" + data  # a full disk cut the last line short
        while data:  # the first write to a full disk writes a part, without an error
            data = data[os.write(handle, data) :]
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


def replace(path: Path, data: bytes) -> None:
    """Replace a file's content atomically: readers see the old bytes or the new ones,
    also after a crash."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    write(temporary, data)
    temporary.replace(path)
    sync(path.parent)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which takes its place when the context ends, and
    is removed if the context ends by an exception. Raises OSError if it cannot be
    written, before anything else is done."""
    # not the process's number: other machines' processes may have the same
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    temporary.touch()
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def unnamed_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is written, and takes the place of `path` when the context ends,
    unless that is by an exception. Where the file system can have files without names
    (Linux), a process that is killed leaves nothing; elsewhere it is as `whole_file`.

    Raises OSError if it cannot be written.
    """
    try:
        handle = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o644)
        place = f"/proc/self/fd/{handle}"
        if not os.path.exists(place):
            os.close(handle)
            raise OSError(f"{place} is not there")
    except (AttributeError, OSError):
        with whole_file(path) as beside, beside.open("w+b") as file:
            yield file
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    with open(handle, "w+b") as file:
        yield file
        file.flush()
        os.fsync(handle)
        temporary.unlink(missing_ok=True)
        # by its place in /proc, a link that is followed only with a folder's handle
        os.link(place, temporary, src_dir_fd=handle)
    temporary.replace(path)


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class SharedSync:
    """`sync` of folders for many threads: those that wait while a folder is synced
    share the next sync of it."""

    def __init__(self) -> None:
        self._clock = itertools.count()
        self._turn = threading.Lock()
        self._began: dict[Path, int] = {}
        """Folder -> tick of `_clock` at which its last sync began."""

    def __call__(self, folder: Path) -> None:
        came = next(self._clock)
        with self._turn:
            if self._began.get(folder, -1) < came:
                began = next(self._clock)
                sync(folder)
                self._began[folder] = began


def delete(path: Path) -> None:
    """Delete a file, a folder with its content, or a link, but never what a link
    points to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_small(path: str) -> bytes:
    """The bytes of a file, fastest for a small one: a third of the time of `open`,
    which counts with ten thousand records. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        data = os.read(handle, 1 << 13)  # a larger buffer costs more than the call
        if len(data) == 1 << 13:
            data += Path(path).read_bytes()[1 << 13 :]
        return data
    finally:
        os.close(handle)
