"""Differences between the groups of a setting: of each from its base model, and of the
groups of one base model and training from each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

from motools_build.report.cells import named_parts
from motools_build.report.declared import NO_PLAN, Standing
from motools_build.report.differences import Difference, difference, holm
from motools_build.report.estimates import Column, Estimates, columns, rounded
from motools_build.report.means import Group, groups, whole_seeds
from motools_build.report.results import Result, accepted_lines
from motools_build.specs.contrast import BASE, Contrast

COMPARISON = (
    *("eval", "scorer", "metric", "model", "training"),
    *("arm", "dataset", "other_arm", "other_dataset"),
    *("difference", "low", "high", "p", "adjusted", "seeds", "other_seeds"),
    *("of", "other_of", "primary", "declared"),
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
    told: Sequence[str] = ()
    """Lines about the primary contrast, and about what was declared."""

    def as_json(self) -> dict[str, Any]:
        """What `doit results --differences --json` prints for the setting."""
        listed = [one.as_json() for one in self.found]
        return {"setting": self.setting, "differences": listed}

    def flat(self) -> Iterator[dict[str, Any]]:
        """A flat row for each comparison."""
        for one in self.found:
            yield {"setting": self.setting, **one.as_json()}


@dataclass(frozen=True)
class Comparison:
    """The difference of a metric between two groups: the first less the second."""

    column: Column
    first: Group
    second: Group
    """A group of the same base model; of the dataset `base` for the base model."""
    found: Difference
    adjusted: float
    """The p value, adjusted by Holm for all comparisons of the setting that are not
    the primary contrast; that of the primary contrast for its own alone."""
    seeds: int
    other_seeds: int
    """The numbers of seeds in the comparison; 1 for a base model."""
    of: int
    other_of: int
    """The numbers of all seeds of the groups: those of them without a result, which
    failed or are stale or missing, are left out of the comparison."""
    primary: bool = False
    """Whether it is the setting's primary contrast."""
    declared: str = ""
    """`primary`, `planned` or `exploratory`, as `Standing` tells it; empty for a
    setting that was not declared."""

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
            "primary": self.primary,
            "declared": self.declared,
        }

    @property
    def shown(self) -> str:
        """`-0.12 [-0.30, 0.05]`"""
        found = self.found
        low, high = rounded(found.low), rounded(found.high)
        return f"{rounded(found.value)} [{low}, {high}]"


def compared(
    setting: str,
    found: Sequence[Result],
    estimates: Estimates,
    standing: Standing = NO_PLAN,
) -> Compared:
    """All differences between the groups of models of a setting, and what is told of
    them."""
    told = comparisons(found, estimates, standing)
    said = [
        *without_result(standing.primary, found, told),
        *standing.told(setting, found),
        *(f"accepted {line}" for line in accepted_lines(found)),
    ]
    return Compared(setting, told, not_compared(found), said)


def comparisons(
    found: Sequence[Result],
    estimates: Estimates,
    standing: Standing = NO_PLAN,
) -> list[Comparison]:
    """All comparisons of a setting's results that have an interval, by metric, those of
    the primary contrast first. Its p values are adjusted for each other, which changes
    nothing if there is one, and the others' among themselves."""
    of_groups = groups(found)
    told = [
        one
        for column in columns(found)
        for one in _of_column(column, found, of_groups, estimates, standing.primary)
    ]
    adjusted = [0.0] * len(told)
    for is_primary in (True, False):
        family = [i for i, one in enumerate(told) if one.primary == is_primary]
        levels = holm([told[i].found.p for i in family])
        for index, level in zip(family, levels, strict=True):
            adjusted[index] = level
    behind = Behind(found)
    return [
        replace(
            one,
            adjusted=level,
            declared=standing.of(behind.of(one), one.primary),
        )
        for one, level in zip(told, adjusted, strict=True)
    ]


class Behind:
    """The results that a comparison is made of."""

    def __init__(self, found: Sequence[Result]) -> None:
        self._of: dict[tuple[Group, str], list[Result]] = {}
        for result in found:
            group = named_parts(result.cell)
            self._of.setdefault((group, result.cell.eval), []).append(result)

    def of(self, one: Comparison) -> list[Result]:
        """The results of both groups that are up to date."""
        both = (one.first, one.second)
        every = [r for group in both for r in self._of.get((group, one.column[0]), ())]
        return [result for result in every if result.status == "ok"]


def _of_column(
    column: Column,
    found: Sequence[Result],
    of_groups: Mapping[Group, Sequence[Result]],
    estimates: Estimates,
    primary: Contrast | None,
) -> Iterator[Comparison]:
    seeds = {
        group: [*whole_seeds(results, column)] for group, results in of_groups.items()
    }
    every = {group: _seeds(results, column) for group, results in of_groups.items()}
    pairs = [
        (first, second)
        for second, first in combinations(seeds, 2)
        if first[2:] == second[2:]  # of the same base model and training
        and not _evals(seeds[first]) & _evals(seeds[second])
    ]
    pairs = _primary_first(pairs, column, primary)[:MOST_PAIRS]
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
            yield Comparison(
                *(column, first, second, one, one.p),
                *(len(seeds[first]), len(seeds[second])),
                *(every[first], every[second]),
                primary=means_pair(primary, column, first, second),
            )


def _primary_first(
    pairs: Sequence[tuple[Group, Group]], column: Column, primary: Contrast | None
) -> list[tuple[Group, Group]]:
    """The pairs with those of the primary contrast first, in the order that it names
    them: a limit on their number must not leave them out."""
    first, others = [], []
    for one, other in pairs:
        if means_pair(primary, column, one, other):
            first.append((one, other))
        elif means_pair(primary, column, other, one):
            first.append((other, one))
        else:
            others.append((one, other))
    return first + others


def means_pair(
    primary: Contrast | None, column: Column, first: Group, second: Group
) -> bool:
    """Whether a primary contrast means the first group less the second, for a
    metric."""
    if primary is None:
        return False
    an_eval, scorer, metric = column
    return (
        (an_eval, metric) == (primary.eval, primary.metric)
        and primary.scorer in ("", scorer)
        and (_name(first), _name(second)) == (primary.arm, primary.against)
    )


def _name(group: Group) -> str:
    """The name that a contrast has for a group: its arm's, or its dataset's."""
    return group[0] or group[1]


def without_result(
    primary: Contrast | None, found: Sequence[Result], told: Sequence[Comparison]
) -> Iterator[str]:
    """A line if no comparison is of the primary contrast."""
    if primary is None or any(one.primary for one in told):
        return
    having = {
        " ".join(filter(None, column[1:])): None
        for column in columns(found)
        if column[0] == primary.eval and column[1]
    }
    metrics = f"; {primary.eval} has the metrics {', '.join(having)}" if having else ""
    yield f"the primary contrast has no result yet: {primary}{metrics}"


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
