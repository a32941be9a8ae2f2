"""How often the intervals of `motools_build.report` hold, by simulation; writes the
table of docs/statistics.md.

    python benchmarks/coverage.py [EXPERIMENTS] [--write]

Each answer is right with a probability that depends on its question, on the model's
seed and on both together, all normal on the logistic scale. An experiment draws
questions, seeds and answers, and asks whether the interval holds the truth: the rate
over new seeds and new questions, or of one seed the rate over new questions of this
model. A cell of the simulation has a rate and a spread of seeds; a column of the table
has the mean over its cells and the worst one. Takes about ten minutes for 300
experiments a cell. Exits with 1 if the mean of a column is below 93 %.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, roots_hermitenorm

from motools_build.report.differences import Side, difference
from motools_build.report.intervals import PERCENT, YES_NO, Scale, interval

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
MARKS = ("<!-- coverage: begin -->\n", "<!-- coverage: end -->\n")

LEAST = 0.93
"""The mean coverage that every column must have."""

DESIGNS = ((32, 1), (100, 1), (8, 50))
"""Numbers of questions, and of answers to each."""
SEEDS = (1, 2, 3, 5, 10)
RATES = (0.01, 0.05, 0.2, 0.5, 0.95)
PAIRS = ((0.2, 0.2), (0.02, 0.02), (0.5, 0.2), (0.2, 0.02), (0.97, 0.01))
SPREADS = (0.0, 0.5, 1.0, 1.5)
"""Standard deviations between seeds."""
QUESTIONS, TOGETHER = 1.0, 0.5
"""Standard deviations between questions, and between cells of seed and question."""
SHARED = 0.7
"""Correlation of the questions' difficulty for the two groups that are compared."""

NODES, WEIGHTS = roots_hermitenorm(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@dataclass(frozen=True)
class Cell:
    """One kind of experiment."""

    what: str
    """`mean`, `points` (of a judge, 0 to 100), `difference` of two groups of seeds, or
    `base`: of a group from one base model."""
    questions: int
    answers: int
    seeds: int
    rates: tuple[float, ...]
    spread: float


@dataclass(frozen=True)
class Held:
    """How often a cell's intervals held, and their mean width."""

    cell: Cell
    share: float
    width: float


def cells() -> Iterator[Cell]:
    for (questions, answers), seeds, spread in itertools.product(
        DESIGNS, SEEDS, SPREADS
    ):
        for rate in RATES:
            yield Cell("mean", questions, answers, seeds, (rate,), spread)
        for rate in RATES:
            yield Cell("points", questions, answers, seeds, (rate,), spread)
        for pair in PAIRS:
            if seeds > 1 or spread == 0:
                yield Cell("base", questions, answers, seeds, pair, spread)
            if seeds > 1:
                yield Cell("difference", questions, answers, seeds, pair, spread)


@cache
def at(rate: float, spread: float) -> float:
    """The place on the logistic scale at which the mean rate is this one."""
    return float(
        brentq(lambda a: (expit(a + spread * NODES) * WEIGHTS).sum() - rate, -60, 60)
    )


def held(cell: Cell, experiments: int) -> Held:
    """The share of experiments whose interval holds the truth."""
    rng = np.random.default_rng(7)
    found, widths = 0, 0.0
    for _ in range(experiments):
        truth, within = _experiment(cell, rng)
        if within is None:
            continue  # nothing is claimed
        found += within.low - 1e-9 <= truth <= within.high + 1e-9
        widths += within.high - within.low
    return Held(cell, found / experiments, widths / experiments)


def _experiment(cell: Cell, rng: Any) -> tuple[float, Any]:
    shared = rng.normal(0, QUESTIONS, cell.questions)
    if cell.what in ("mean", "points"):
        scale = YES_NO if cell.what == "mean" else PERCENT
        (rate,) = cell.rates
        truth, seeds = draw(cell, rng, rate, cell.seeds, cell.spread, shared, scale)
        return truth, interval(seeds, scale)
    sides, truths = [], []
    for number, rate in enumerate(cell.rates):
        own = rng.normal(0, QUESTIONS, cell.questions)
        asked = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
        base = cell.what == "base" and number == 1
        seeds, spread = (1, 0.0) if base else (cell.seeds, cell.spread)
        truth, group = draw(cell, rng, rate, seeds, spread, asked, YES_NO)
        sides.append(Side(group))
        truths.append(truth)
    return truths[0] - truths[1], difference(sides[0], sides[1], YES_NO)


def draw(
    cell: Cell,
    rng: Any,
    rate: float,
    count: int,
    spread: float,
    asked: Any,
    scale: Scale,
) -> tuple[float, list[dict[Any, list[float]]]]:
    """The true rate of a group of models, and their answers' scores."""
    middle = at(rate, float(np.sqrt(spread**2 + QUESTIONS**2 + TOGETHER**2)))
    of_seeds = rng.normal(0, spread, (count, 1))
    odds = middle + asked + of_seeds + rng.normal(0, TOGETHER, (count, len(asked)))
    shape = (count, len(asked), cell.answers)
    chance = expit(odds)[:, :, None]
    if scale.yes_no:
        scores = (rng.random(shape) < chance).astype(float)
    else:  # a judge's points around the rate, as a beta distribution
        scores = np.round(100 * rng.beta(4 * chance, 4 * (1 - chance), shape))
    truth = rate
    if count == 1:  # a claim about this model
        within = float(np.sqrt(QUESTIONS**2 + TOGETHER**2))
        truth = float((expit(middle + of_seeds[0, 0] + within * NODES) * WEIGHTS).sum())
    if not scale.yes_no:
        truth *= 100
    answers = [
        {question: values.tolist() for question, values in enumerate(one)}
        for one in scores
    ]
    return truth, answers


def table(every: list[Held]) -> Iterator[str]:
    """The lines of the table: a row for each kind of interval and design."""
    yield (
        "| what | questions x answers | "
        + " | ".join(f"{seeds} seed{'s' if seeds > 1 else ''}" for seeds in SEEDS)
        + " |"
    )
    yield "|---|---|" + "---|" * len(SEEDS)
    names = {
        "mean": "yes or no: rate",
        "points": "judge's points: mean",
        "difference": "difference of two groups",
        "base": "difference from the base model",
    }
    for what, name in names.items():
        for questions, answers in DESIGNS:
            row = [_column(every, what, questions, answers, s) for s in SEEDS]
            if any(row):
                shown = (_told(one) if one else "" for one in row)
                yield (
                    f"| {name} | {questions} x {answers} | " + " | ".join(shown) + " |"
                )


def _column(
    every: list[Held], what: str, questions: int, answers: int, seeds: int
) -> list[Held]:
    wanted = (what, questions, answers, seeds)
    return [
        one
        for one in every
        if (one.cell.what, one.cell.questions, one.cell.answers, one.cell.seeds)
        == wanted
    ]


def mean_of(column: list[Held]) -> float:
    return float(np.mean([one.share for one in column]))


def _told(column: list[Held]) -> str:
    worst = min(one.share for one in column)
    width = np.mean([one.width for one in column])
    if column[0].cell.what == "points":
        width /= 100
    return f"{100 * mean_of(column):.1f} ({100 * worst:.0f}), {width:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", type=int, nargs="?", default=300)
    parser.add_argument("--write", action="store_true")
    told = parser.parse_args()
    every: list[Held] = []
    with ProcessPoolExecutor() as pool:
        wanted = list(cells())
        for one in pool.map(held, wanted, itertools.repeat(told.experiments)):
            every.append(one)
            print(f"\r{len(every)}/{len(wanted)}", end="", file=sys.stderr)
    lines = list(table(every))
    print("\n" + "\n".join(lines))
    low = {
        f"{c.what}, {c.questions} x {c.answers}, {c.seeds}": mean
        for c in dict.fromkeys(one.cell for one in every)
        if (mean := mean_of(_column(every, c.what, c.questions, c.answers, c.seeds)))
        < LEAST
    }
    for name, mean in low.items():
        print(f"below {LEAST:.0%}: {name}: {mean:.1%}")
    if told.write:
        before, begin, rest = PAGE.read_text().partition(MARKS[0])
        _, end, after = rest.partition(MARKS[1])
        PAGE.write_text(
            "".join([before, begin, *(f"{x}\n" for x in lines), end, after])
        )
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
