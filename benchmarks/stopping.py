"""How often differences are found where there are none, and how often intervals hold,
when seeds are added until something is so; writes a table of docs/statistics.md.

    python benchmarks/stopping.py [EXPERIMENTS] [--write]

Experiments are drawn as in benchmarks/coverage.py: two groups of models with the same
true rate, which are given seeds by a rule, one after the other. In each, the rules see
the same seeds. A difference is found if p is below 0.05 at the end. A cell has a rate,
a spread of seeds and a design; the table has the mean over the cells and the worst one.
Takes some minutes for 200 experiments a cell. Exits with 1 if seeds added by width, and
then the same number for both groups, find more than 6 % false differences, or if fewer
than 95 % of the intervals hold.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.coverage import (
    DESIGNS,
    PAGE,
    QUESTIONS,
    SHARED,
    SPREADS,
    Cell,
    draw,
)
from motools_build.report.differences import Side, difference
from motools_build.report.intervals import YES_NO, interval

MARKS = ("<!-- stopping: begin -->\n", "<!-- stopping: end -->\n")

FIRST, MOST = 3, 10
"""Seeds of a group at the beginning and at most."""
RATES = (0.05, 0.2, 0.5)
LEVEL = 0.05

CLAIMED = 0.06
"""The largest mean share of false differences with seeds added by width, and then the
same number for both groups."""
HOLDS = 0.95
"""The least mean share of intervals that hold with seeds added by width."""


@dataclass
class Experiment:
    """Two groups of `MOST` seeds with the same true rate; rules take the first few."""

    truth: float
    groups: tuple[Any, Any]

    def __post_init__(self) -> None:
        self._p: dict[tuple[int, int], float] = {}

    @cached_property
    def intervals(self) -> tuple[Any, Any]:
        """For each group, number of seeds -> the interval of its mean."""
        counts = range(FIRST, MOST + 1)
        first, second = (
            {count: interval(group[:count], YES_NO) for count in counts}
            for group in self.groups
        )
        return first, second

    def p(self, counts: tuple[int, int]) -> float:
        """The p value of the difference with so many seeds of each group."""
        if counts not in self._p:
            sides = (
                Side(group[:n]) for group, n in zip(self.groups, counts, strict=True)
            )
            found = difference(*sides, YES_NO)
            self._p[counts] = 1.0 if found is None else found.p
        return self._p[counts]

    def half(self, group: int, count: int) -> float:
        found = self.intervals[group][count]
        return (found.high - found.low) / 2

    def holds(self, group: int, count: int) -> bool:
        found = self.intervals[group][count]
        return bool(found.low - 1e-9 <= self.truth <= found.high + 1e-9)


Rule = Callable[[Experiment], tuple[int, int]]
"""Gives the number of seeds of each group."""


def fixed(count: int, _: Experiment) -> tuple[int, int]:
    return count, count


def by_p(one: Experiment) -> tuple[int, int]:
    """Both groups get a seed until p is below the level."""
    for count in range(FIRST, MOST):
        if one.p((count, count)) < LEVEL:
            return count, count
    return MOST, MOST


def by_width(half: float, one: Experiment) -> tuple[int, int]:
    """Each group gets seeds until its own interval is narrow."""
    first, second = (
        next((c for c in range(FIRST, MOST) if one.half(group, c) <= half), MOST)
        for group in range(2)
    )
    return first, second


def levelled(half: float, one: Experiment) -> tuple[int, int]:
    """Afterwards, both groups get as many seeds as the one that took more."""
    most = max(by_width(half, one))
    return most, most


RULES: dict[str, Rule] = {
    "3 seeds": partial(fixed, FIRST),
    "10 seeds": partial(fixed, MOST),
    "until p < 0.05": by_p,
    "until half-width 0.15": partial(by_width, 0.15),
    "until half-width 0.15, then the same for both": partial(levelled, 0.15),
    "until half-width 0.1": partial(by_width, 0.1),
    "until half-width 0.1, then the same for both": partial(levelled, 0.1),
}


@dataclass(frozen=True)
class Found:
    """What came of a cell's experiments with one rule, as shares and a mean."""

    false: float
    held: float
    seeds: float


def cells() -> Iterator[Cell]:
    for (questions, answers), rate, spread in itertools.product(
        DESIGNS, RATES, SPREADS
    ):
        yield Cell("difference", questions, answers, MOST, (rate, rate), spread)


def found(cell: Cell, experiments: int) -> dict[str, Found]:
    """Rule -> what came of the cell's experiments."""
    rng = np.random.default_rng(11)
    told: dict[str, list[tuple[bool, float, float]]] = {name: [] for name in RULES}
    for _ in range(experiments):
        one = _experiment(cell, rng)
        for name, rule in RULES.items():
            counts = rule(one)
            held = [one.holds(group, count) for group, count in enumerate(counts)]
            is_false = one.p(counts) < LEVEL
            told[name].append((is_false, float(np.mean(held)), sum(counts) / 2))
    return {
        name: Found(*(float(np.mean(column)) for column in zip(*rows, strict=True)))
        for name, rows in told.items()
    }


def _experiment(cell: Cell, rng: Any) -> Experiment:
    shared = rng.normal(0, QUESTIONS, cell.questions)
    groups, truth = [], 0.0
    for rate in cell.rates:
        own = rng.normal(0, QUESTIONS, cell.questions)
        asked = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
        truth, group = draw(cell, rng, rate, MOST, cell.spread, asked, YES_NO)
        groups.append(group)
    return Experiment(truth, (groups[0], groups[1]))


def table(every: list[dict[str, Found]]) -> Iterator[str]:
    """The lines of the table: a row for each rule."""
    yield "| seeds | false differences | intervals that hold | seeds of a group |"
    yield "|---|---|---|---|"
    for name in RULES:
        rows = [one[name] for one in every]
        false, held = [one.false for one in rows], [one.held for one in rows]
        yield (
            f"| {name} | {100 * np.mean(false):.1f} ({100 * max(false):.0f}) "
            f"| {100 * np.mean(held):.1f} ({100 * min(held):.0f}) "
            f"| {np.mean([one.seeds for one in rows]):.1f} |"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", type=int, nargs="?", default=200)
    parser.add_argument("--write", action="store_true")
    told = parser.parse_args()
    every: list[dict[str, Found]] = []
    with ProcessPoolExecutor() as pool:
        wanted = list(cells())
        for one in pool.map(found, wanted, itertools.repeat(told.experiments)):
            every.append(one)
            print(f"\r{len(every)}/{len(wanted)}", end="", file=sys.stderr)
    lines = list(table(every))
    print("\n" + "\n".join(lines))
    if told.write:
        before, begin, rest = PAGE.read_text().partition(MARKS[0])
        _, end, after = rest.partition(MARKS[1])
        PAGE.write_text(
            "".join([before, begin, *(f"{x}\n" for x in lines), end, after])
        )
    widths = [name for name in RULES if "half" in name]
    same = [name for name in widths if "same" in name]
    false = max(np.mean([one[name].false for one in every]) for name in same)
    held = min(np.mean([one[name].held for one in every]) for name in widths)
    return 1 if false > CLAIMED or held < HOLDS else 0


if __name__ == "__main__":
    sys.exit(main())
