"""Locks on files, which the operating system gives back when the processes that hold
them end, however they end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def hold(path: Path, exclusive: bool = False) -> int:
    """Wait for a lock on a file, and hold it: its descriptor. Closing it, or the end of
    the process, gives it back."""
    descriptor = _opened(path)
    fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
    return descriptor


def hold_at_once(path: Path) -> int | None:
    """Hold an exclusive lock on a file, as `hold` does; None if another has one."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_held(path: Path) -> bool:
    """Whether a process has a lock on a file."""
    descriptor = hold_at_once(path)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


@contextmanager
def locked(path: Path, exclusive: bool = True) -> Iterator[None]:
    """Hold a lock on a file within the context."""
    descriptor = hold(path, exclusive)
    try:
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
