"""Which random stream an answer of a local model is drawn from.

It is a matter of what is asked, never of when: of the seed, the sample and its epoch,
the request, and the number of the same request within the sample. So an eval that was
killed, retried, shuffled or split into blocks of epochs has the answers of one that
was not. A sample that is retried begins again at its first request.
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
    """Those of one request; one that got no answer gives its number back."""

    following: int = 0
    free: list[int] = field(default_factory=list)

    def take(self) -> int:
        if self.free:
            return heapq.heappop(self.free)
        self.following += 1
        return self.following - 1


Numbers = defaultdict[tuple[str, str], _Numbers]

_of: WeakKeyDictionary[object, Numbers] = WeakKeyDictionary()
"""By an attempt at a sample, which Inspect makes an object of its own; or, outside of
samples, by the model object."""


_names: dict[tuple[str, int | str | None], Sequence[str | int]] = {}
"""By model and sample ID, what else a sample is called by."""


def name_samples(model: str, names: Mapping[int, Sequence[str | int]]) -> None:
    """Let samples of the model's next eval be known by these names: their IDs, which
    Inspect will make of their places, may mean others another time."""
    for key in [key for key in _names if key[0] == model]:
        del _names[key]
    _names.update({(model, number): name for number, name in names.items()})


@contextmanager
def stream(
    model: object, called: str, first_epoch: int, seed: int, request: object
) -> Iterator[int]:
    """The stream of one request, while it is answered.

    Inspect counts the epochs of a block from 1; `first_epoch` says which one that is.
    Requests that are the same in all may be under way together: which of them gets
    which stream is then of no account. `called` is the model's name, and only keeps the
    numbers of two models apart.
    """
    from inspect_ai.log._samples import sample_active

    active = sample_active()
    body = _digest(request)
    where: list[Any] = []  # a task that asks while it is made: the same in each block
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
    """Of anything that a model can be asked: not the canonical JSON of keys, which
    refuses half characters and long integers."""
    return digest_bytes(json.dumps(value, sort_keys=True).encode())
