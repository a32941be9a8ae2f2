"""The device of a process: one GPU, which no other training or eval uses meanwhile.

A device is taken by a lock on a file that all projects of this machine share; the
operating system gives it back when the process ends, however it ends. So several seeds
train at once, each on a GPU of its own, and what finds none free waits.

What waits holds a lock of its own, by which a server that nobody asks learns that its
GPUs are wanted.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from motools_build.backends.flocks import hold_at_once, is_held, locked
from motools_build.errors import StageFailed

POLL = 1.0
"""Seconds between two looks for a free device."""

VISIBLE = "CUDA_VISIBLE_DEVICES"

NVIDIA = Path("/proc/driver/nvidia/gpus")
"""The folder in which NVIDIA's driver has a folder for each GPU."""

WAITING = "waiting"
"""Name of the file on which everything that waits for a GPU has a shared lock."""

_held: list[tuple[str, int]] = []
"""The device of this process, with the descriptor of its lock, which stays open until
the process ends. Empty until it has one."""


def restrict(devices: Sequence[str]) -> None:
    """Let this process and those that it starts use these GPUs alone, unless its
    environment says already which. Without any, all are used."""
    if devices:
        os.environ.setdefault(VISIBLE, ",".join(devices))


def take(waits: Callable[[], None] = lambda: None) -> str:
    """The device of this process, by its name for torch: `cuda:1`, `mps` or `cpu`.
    Calls `waits` once if all GPUs are in use, and waits until one is free."""
    import torch

    if _held:
        return _held[0][0]
    cards = _cards(torch.cuda.device_count())
    if not cards:
        return "mps" if torch.backends.mps.is_available() else "cpu"
    ((index, lock),) = hold(cards, 1, waits)
    torch.cuda.set_device(index)
    _held.append((f"cuda:{index}", lock))
    return _held[0][0]


def reserve(count: int, waits: Callable[[], None] = lambda: None) -> list[str]:
    """Take `count` GPUs for a program that this process runs, without torch; returns
    their names, as CUDA_VISIBLE_DEVICES has them. Calls `waits` once if too few are
    free, and waits for them. A machine without GPUs gives none.

    Raises StageFailed if this machine has some, but fewer than `count`.
    """
    there = _cards(len(list(NVIDIA.glob("*"))))
    if not there or not count:
        return []
    if len(there) < count:
        raise StageFailed(f"{count} GPUs are needed, and {len(there)} are here")
    found = hold(there, count, waits)
    for _, lock in found:
        os.set_inheritable(lock, True)  # held as long as the program runs
    _held.extend((there[index], lock) for index, lock in found)
    return [there[index] for index, _ in found]


def cards() -> list[str]:
    """The GPUs that this process may use, as the machine names them. Empty if there are
    none, or if torch is not installed: then nothing here trains on one."""
    try:
        import torch
    except ImportError:
        return []
    return _cards(torch.cuda.device_count())


def hold(
    cards: Sequence[str],
    count: int,
    waits: Callable[[], None] = lambda: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[tuple[int, int]]:
    """Take `count` of these GPUs, all at once, and wait until so many are free. Returns
    the index and the lock's descriptor of each. Calls `waits` once if it has to wait,
    and `meanwhile` at each look; what that raises ends the wait."""
    found = _free(cards, count)
    if found is None:
        waits()
        with locked(_place(WAITING), exclusive=False):  # for `wanted`
            while (found := _free(cards, count)) is None:
                meanwhile()
                time.sleep(POLL)
    return found


def wanted() -> bool:
    """Whether some process of this user waits for a GPU."""
    return is_held(_place(WAITING))


def named(device: str) -> str:
    """The name of a device for records: the GPU's model, else `mps` or `cpu`."""
    import torch

    return torch.cuda.get_device_name(device) if device[:4] == "cuda" else device


def _cards(count: int) -> list[str]:
    """The GPUs that this process may use, as the machine names them."""
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",")]
    return [name for name in named if name][:count] or list(map(str, range(count)))


def _free(cards: Sequence[str], count: int) -> list[tuple[int, int]] | None:
    """The indices of the first `count` GPUs that no process holds, each with the
    descriptor of the lock by which this process holds it now. None, and none is held,
    if fewer are free."""
    found: list[tuple[int, int]] = []
    for index, card in enumerate(cards):
        lock = hold_at_once(_place(card.replace("/", "-")))
        if lock is None:
            continue
        found.append((index, lock))
        if len(found) == count:
            return found
    for _, lock in found:
        os.close(lock)
    return None


def _place(name: str) -> Path:
    """The path of a file that all projects of this user on this machine share."""
    folder = Path(tempfile.gettempdir()) / f"motools-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / name
