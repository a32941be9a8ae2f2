"""Transforms that choose or move whole rows: sample, head, split, shuffle, mix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, model_validator

from motools_build.data.transforms import choose
from motools_build.data.transforms.files import Out, Rows
from motools_build.data.transforms.step import Count, Seed, Step, check_enough
from motools_build.errors import DatasetError


class Sample(Step):
    """See `Dataset.sample`."""

    WORD: ClassVar[str] = "sample"
    n: Count
    seed: Seed = 0

    def make(self, parts: Sequence[Rows], out: Out) -> None:
        (rows,) = parts
        check_enough(rows, self.n)
        for index in choose.chosen("sample", self.seed, len(rows), self.n):
            out.carry(rows, index)

    def small(self, rows: int) -> Step:
        return Head(n=min(self.n, rows))


class Head(Step):
    """See `Dataset.head`."""

    WORD: ClassVar[str] = "head"
    n: Count

    def make(self, parts: Sequence[Rows], out: Out) -> None:
        (rows,) = parts
        for index in range(min(self.n, len(rows))):
            out.carry(rows, index)

    def small(self, rows: int) -> Step:
        return Head(n=min(self.n, rows))


class Split(Step):
    """See `Dataset.split`."""

    WORD: ClassVar[str] = "split"
    fraction: float = Field(gt=0, lt=1)
    seed: Seed = 0
    rest: bool = False
    """Whether to take the other part: the rows that the fraction leaves."""

    def make(self, parts: Sequence[Rows], out: Out) -> None:
        (rows,) = parts
        n = choose.share(self.fraction, len(rows))
        if not 0 < n < len(rows):
            raise DatasetError(
                f"{rows.source} has {len(rows)} rows, of which a fraction of "
                f"{self.fraction} leaves one part empty; choose another fraction"
            )
        order = choose.shuffled("split", self.seed, len(rows))
        part = order[n:] if self.rest else order[:n]
        part.sort()
        for index in part:
            out.carry(rows, index)


class Shuffle(Step):
    """See `Dataset.shuffle`."""

    WORD: ClassVar[str] = "shuffle"
    seed: Seed = 0

    def make(self, parts: Sequence[Rows], out: Out) -> None:
        (rows,) = parts
        for index in choose.shuffled("shuffle", self.seed, len(rows)):
            out.carry(rows, index)


class Mix(Step):
    """See `Dataset.mix`."""

    WORD: ClassVar[str] = "mix"
    fraction: float | None = Field(default=None, ge=0, lt=1)
    n: Count | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Mix:
        if (self.fraction is None) == (self.n is None):
            raise ValueError("give either fraction= or n=, how many rows of the other")
        return self

    def small(self, rows: int) -> Step:
        return self.model_copy(update={"n": 1}) if self.n else self

    def make(self, parts: Sequence[Rows], out: Out) -> None:
        own, other = parts
        n = self.n
        if n is None:
            assert self.fraction is not None
            n = choose.added(self.fraction, len(own))
        check_enough(other, n)
        total = len(own) + n
        mixed_in = iter(choose.chosen("mix", self.seed, len(other), n))
        places = iter(choose.chosen("mix places", self.seed, total, n))
        kept = iter(range(len(own)))
        place = next(places, total)
        for at in range(total):
            if at == place:
                out.carry(other, next(mixed_in))
                place = next(places, total)
            else:
                out.carry(own, next(kept))
