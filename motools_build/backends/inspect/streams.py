"""Chooses the random seed of each answer of a local model.

The seed depends on what is asked, never on when: on the eval's seed, the sample and its
epoch, the request, and how often the same request came before within the sample. So an
eval that was killed, retried, shuffled or split into blocks of epochs gets the same
answers as one that was not. A retried sample begins again at its first request.
"""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from motools_build.keys import digest_bytes


@dataclass
class _Numbers:
    """Hands out the numbers 0, 1, ... to repetitions of one request. A request that got
    no answer returns its number, through `free`."""

    following: int = 0
    free: list[int] = field(default_factory=list)

    def take(self) -> int:
        if self.free:
            return heapq.heappop(self.free)
        self.following += 1
        return self.following - 1


Numbers = defaultdict[tuple[str, str], _Numbers]

_of: WeakKeyDictionary[object, Numbers] = WeakKeyDictionary()
"""Numbers by attempt at a sample (Inspect makes one object per attempt), or, for
requests outside of samples, by model object."""


_names: dict[tuple[str, int | str | None], Sequence[str | int]] = {}
"""(model, sample ID) -> the sample's stable name, used instead of its ID."""


def name_samples(model: str, names: Mapping[int, Sequence[str | int]]) -> None:
    """Set stable names (sample ID -> name) for samples of the model's next eval whose
    IDs are only Inspect's position numbers, which may mean other samples in another
    run."""
    for key in [key for key in _names if key[0] == model]:
        del _names[key]
    _names.update({(model, number): name for number, name in names.items()})


@contextmanager
def stream(
    model: object, called: str, first_epoch: int, seed: int, request: object
) -> Iterator[int]:
    """The seed (64 bits) of one request; the context lasts until it is answered.

    Inspect counts the epochs of a block from 1; `first_epoch` is the eval's number of
    that epoch. If equal requests run concurrently, it does not matter which of them
    gets which seed. `called` is the model's name, which only keeps the numbers of two
    models apart.
    """
    from inspect_ai.log._samples import sample_active

    active = sample_active()
    body = _digest(request)
    where: list[Any] = []  # stays empty for a task that asks while it is loaded
    if active:
        known = active.sample.id
        name = _names.get((active.model, known), known)
        where = [name, active.epoch + first_epoch - 1]
    counted = _of.setdefault(active or model, defaultdict(_Numbers))
    numbers = counted[called, body]
    number = numbers.take()
    try:
        yield int(_digest([seed, where, body, number])[:16], 16)
    except BaseException:
        heapq.heappush(numbers.free, number)
        raise


def _digest(value: object) -> str:
    """Digest of any JSON-like value. Not of the canonical JSON of keys, which refuses
    unpaired surrogates and long integers."""
    return digest_bytes(json.dumps(value, sort_keys=True).encode())
