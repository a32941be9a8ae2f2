"""Differences between the groups of a setting: of each from its base model, and of the
groups of one base model and training from each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from motools_build.report.differences import Difference, difference, holm
from motools_build.report.estimates import Column, Estimates, columns, rounded
from motools_build.report.means import Group, groups, whole_seeds
from motools_build.report.results import Result

BASE = "base"
"""The dataset of a model without fine-tuning, as `Cell.dataset` has it."""

COMPARISON = (
    *("eval", "scorer", "metric", "model", "training"),
    *("arm", "dataset", "other_arm", "other_dataset"),
    *("difference", "low", "high", "p", "adjusted", "seeds", "other_seeds"),
    *("of", "other_of"),
)
"""The fields of a comparison, as JSON and data frames have them."""

MOST_PAIRS = 100
"""Largest number of pairs of groups that are compared for one metric."""


class Compared(NamedTuple):
    """The comparisons of a setting."""

    setting: str
    found: Sequence[Comparison]
    lost: Sequence[tuple[Column, Group]] = ()
    """The groups that no comparison of a metric has, for want of results."""


@dataclass(frozen=True)
class Comparison:
    """The difference of a metric between two groups: the first less the second."""

    column: Column
    first: Group
    second: Group
    """A group of the same base model; of the dataset `base` for the base model."""
    found: Difference
    adjusted: float
    """The p value, adjusted by Holm for all comparisons of the setting."""
    seeds: int
    other_seeds: int
    """The numbers of seeds in the comparison; 1 for a base model."""
    of: int
    other_of: int
    """The numbers of all seeds of the groups: those of them without a result, which
    failed or are stale or missing, are left out of the comparison."""

    def as_json(self) -> dict[str, Any]:
        an_eval, scorer, metric = self.column
        arm, dataset, model, training = self.first
        return {
            "eval": an_eval,
            "scorer": scorer,
            "metric": metric,
            "model": model,
            "training": training,
            "arm": arm,
            "dataset": dataset,
            "other_arm": self.second[0],
            "other_dataset": self.second[1],
            "difference": self.found.value,
            "low": self.found.low,
            "high": self.found.high,
            "p": self.found.p,
            "adjusted": self.adjusted,
            "seeds": self.seeds,
            "other_seeds": self.other_seeds,
            "of": self.of,
            "other_of": self.other_of,
        }

    @property
    def shown(self) -> str:
        """`-0.12 [-0.30, 0.05]`"""
        found = self.found
        low, high = rounded(found.low), rounded(found.high)
        return f"{rounded(found.value)} [{low}, {high}]"


def comparisons(found: Sequence[Result], estimates: Estimates) -> list[Comparison]:
    """All comparisons of a setting's results that have an interval, by metric."""
    of_groups = groups(found)
    told = [
        (column, *one)
        for column in columns(found)
        for one in _of_column(column, found, of_groups, estimates)
    ]
    adjusted = holm([one.p for *_, one, _ in told])
    return [
        Comparison(column, first, second, one, level, *sizes)
        for (column, first, second, one, sizes), level in zip(
            told, adjusted, strict=True
        )
    ]


def _of_column(
    column: Column,
    found: Sequence[Result],
    of_groups: Mapping[Group, Sequence[Result]],
    estimates: Estimates,
) -> Iterator[tuple[Group, Group, Difference, tuple[int, int, int, int]]]:
    seeds = {
        group: [*whole_seeds(results, column)] for group, results in of_groups.items()
    }
    every = {group: _seeds(results, column) for group, results in of_groups.items()}
    pairs = [
        (first, second)
        for second, first in combinations(seeds, 2)
        if first[2:] == second[2:]  # of the same base model and training
        and not _evals(seeds[first]) & _evals(seeds[second])
    ][:MOST_PAIRS]
    for result in found:
        cell = result.cell
        if cell.seed is None and cell.eval == column[0]:
            base: Group = ("", BASE, cell.model, "")
            seeds[base], every[base] = [[result]], 1
            pairs += [(g, base) for g in seeds if g[2] == cell.model and g != base]
    for first, second in pairs:
        sides = [estimates.side(seeds[group], column) for group in (first, second)]
        if sides[0] is None or sides[1] is None:
            continue
        one = difference(sides[0], sides[1], estimates.scale(column))
        if one is not None:
            compared = len(seeds[first]), len(seeds[second])
            yield first, second, one, (*compared, every[first], every[second])


def not_compared(found: Sequence[Result]) -> list[tuple[Column, Group]]:
    """The groups and base models that no comparison of a metric has, because none of
    their models has a result of it."""
    lost = []
    of_groups = groups(found)
    for column in columns(found):
        for group, results in of_groups.items():
            if _seeds(results, column) and not [*whole_seeds(results, column)]:
                lost.append((column, group))
        for result in found:
            cell = result.cell
            of_base = cell.seed is None and cell.eval == column[0]
            if of_base and result.status != "ok":
                lost.append((column, ("", BASE, cell.model, "")))
    return lost


def _evals(seeds: Sequence[Sequence[Result]]) -> set[str]:
    """The keys of a group's evals. Two arms of one dataset have the same models, which
    are not independent of themselves."""
    return {result.cell.stage.key for one in seeds for result in one}


def _seeds(results: Sequence[Result], column: Column) -> int:
    """The number of seeds that are asked the column's eval."""
    return len({one.cell.seed for one in results if one.cell.eval == column[0]})
