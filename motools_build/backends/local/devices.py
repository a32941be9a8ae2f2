"""The device of a process: one GPU, which no other training or eval uses meanwhile.

A device is taken by a lock on a file that all projects of this machine share; the
operating system gives it back when the process ends, however it ends. So several seeds
train at once, each on a GPU of its own, and what finds none free waits.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from motools_build.errors import StageFailed

POLL = 1.0
"""Seconds between two looks for a free device."""

VISIBLE = "CUDA_VISIBLE_DEVICES"

NVIDIA = Path("/proc/driver/nvidia/gpus")
"""The folder in which NVIDIA's driver has a folder for each GPU."""

_held: list[tuple[str, int]] = []
"""The device of this process, with the descriptor of its lock, which stays open until
the process ends. Empty until it has one."""


def take(waits: Callable[[], None] = lambda: None) -> str:
    """The device of this process, by its name for torch: `cuda:1`, `mps` or `cpu`.
    Calls `waits` once if all GPUs are in use, and waits until one is free."""
    import torch

    if _held:
        return _held[0][0]
    cards = _cards(torch.cuda.device_count())
    if not cards:
        return "mps" if torch.backends.mps.is_available() else "cpu"
    told = False
    while (found := _free(cards)) is None:
        if not told:
            waits()
            told = True
        time.sleep(POLL)
    index, lock = found
    torch.cuda.set_device(index)
    _held.append((f"cuda:{index}", lock))
    return _held[0][0]


def reserve(count: int, waits: Callable[[], None] = lambda: None) -> list[str]:
    """Take `count` GPUs for a program that this process runs, without torch; returns
    their names, as CUDA_VISIBLE_DEVICES has them. Calls `waits` once if too few are
    free, and waits for them. A machine without GPUs gives none.

    Raises StageFailed if this machine has some, but fewer than `count`.
    """
    cards = _cards(len(list(NVIDIA.glob("*"))))
    if not cards or not count:
        return []
    if len(cards) < count:
        raise StageFailed(f"{count} GPUs are needed, and {len(cards)} are here")
    told = False
    while True:
        found: list[tuple[str, int]] = []
        # all or none: two that each hold half would wait for each other for ever
        while len(found) < count and (one := _free(cards)) is not None:
            found.append((cards[one[0]], one[1]))
        if len(found) == count:
            for _, lock in found:
                os.set_inheritable(lock, True)  # held as long as the program runs
            _held.extend(found)
            return [card for card, _ in found]
        for _, lock in found:
            os.close(lock)
        if not told:
            waits()
            told = True
        time.sleep(POLL)


def _cards(count: int) -> list[str]:
    """The GPUs that this process may use, as the machine names them."""
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",")]
    return [name for name in named if name][:count] or list(map(str, range(count)))


def _free(cards: list[str]) -> tuple[int, int] | None:
    """The index of the first GPU that no process holds, and the descriptor of the lock
    by which this process holds it now."""
    folder = Path(tempfile.gettempdir()) / f"motools-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for index, card in enumerate(cards):
        lock = os.open(folder / card.replace("/", "-"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return index, lock
    return None
