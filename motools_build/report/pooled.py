"""Means over what is not named: `doit results --by arm` is over an arm's datasets.

The models of one arm, dataset, model and training are a stratum: their seeds are
exchangeable. Seeds of different strata are not, as their datasets differ. So a mean is
that of the strata's means, each with the same weight, and its interval is over new
seeds of these very strata and over new questions. It says nothing of another dataset.

Setting, eval, scorer and metric are always kept: means of different quantities mean
nothing. Base models are left out, as in `means`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from motools_build.errors import InputError
from motools_build.report.copies import joined
from motools_build.report.differences import Side
from motools_build.report.estimates import (
    Column,
    Estimate,
    Estimates,
    columns,
    with_interval,
)
from motools_build.report.intervals import Interval
from motools_build.report.lineage import checkpoint_of
from motools_build.report.means import groups, status_of_seeds, told, whole_seeds
from motools_build.report.results import Result, accepted_lines
from motools_build.report.strata import stratified

PARTS = ("arm", "dataset", "model", "training")
"""Columns that make a stratum."""

KEPT = ("setting", "eval")
"""Columns that every mean has, named or not."""

NAMES = (*KEPT, *PARTS, "seed", "replicate", "checkpoint")
"""Columns that can be named."""

POOLED = (
    *("eval", "scorer", "metric", "value", "low", "high", "scored", "asked"),
    *("pooled", "seeds", "of", "distinct", "over", "status"),
)
"""The fields of a pooled mean that follow those that were named."""

BOTH, QUESTIONS = "seeds and questions", "questions"


@dataclass(frozen=True)
class Pooled:
    """A metric's mean over the models that have the named values."""

    named: Mapping[str, Any]
    """Named column -> its value."""
    column: Column
    estimate: Estimate
    pooled: int
    """Number of strata (arm, dataset, model and training) in the mean."""
    seeds: int
    """Number of trainings in the mean, replicates of a seed counted as one."""
    of: int
    """Number of all of them."""
    distinct: int
    """Number of different models among them, by their weights."""
    over: str
    """What the interval is over: `seeds and questions`, or `questions` alone if no
    stratum has several seeds; empty without an interval."""
    status: str
    """As that of a mean over seeds."""

    def as_json(self) -> dict[str, Any]:
        an_eval, scorer, metric = self.column
        return {
            **self.named,
            "eval": an_eval,
            "scorer": scorer,
            "metric": metric,
            **self.estimate.as_json(),
            "pooled": self.pooled,
            "seeds": self.seeds,
            "of": self.of,
            "distinct": self.distinct,
            "over": self.over,
            "status": self.status,
        }


@dataclass(frozen=True)
class PooledTable:
    """A setting's means over what is not named."""

    setting: str
    by: tuple[str, ...]
    """The columns that were named, without those that are always kept."""
    means: tuple[Pooled, ...]
    accepted: tuple[str, ...] = ()
    """Lines that say which of its results a person accepted."""

    def as_json(self) -> dict[str, Any]:
        """What `doit results --by ... --json` prints for the setting."""
        listed = [one.as_json() for one in self.means]
        return {"setting": self.setting, "by": [*self.by], "means": listed}

    def flat(self) -> Iterator[dict[str, Any]]:
        """A flat row for each mean."""
        for one in self.means:
            yield {"setting": self.setting, **one.as_json()}


def named(by: Sequence[str]) -> tuple[str, ...]:
    """The columns to group by, each once, without those that are always kept.

    Raises InputError for a name that is not one of `NAMES`.
    """
    for name in by:
        if name not in NAMES:
            raise InputError(
                f"{name!r} does not name a cell; means are by any of {', '.join(NAMES)}"
            )
    return tuple(dict.fromkeys(name for name in by if name not in KEPT))


def pooled(setting: str, found: Sequence[Result], by: Sequence[str]) -> PooledTable:
    """The means of a setting's results by the named columns, in their order.

    Raises InputError for a wrong name.
    """
    names, estimates = named(by), Estimates(found)
    by_values: dict[tuple[Any, ...], list[Result]] = {}
    for result in found:
        if result.cell.seed is not None:
            values = tuple(_value(result, name) for name in names)
            by_values.setdefault(values, []).append(result)
    every = columns(found)
    means = [
        _pooled(dict(zip(names, values, strict=True)), column, results, estimates)
        for values, results in by_values.items()
        for column in every
        if column[0] in {result.cell.eval for result in results}
    ]
    return PooledTable(setting, names, tuple(means), tuple(accepted_lines(found)))


def _value(result: Result, name: str) -> Any:
    if name == "checkpoint":
        return checkpoint_of(result.cell.stage)
    return getattr(result.cell, name)


def _pooled(
    of: Mapping[str, Any], column: Column, results: list[Result], estimates: Estimates
) -> Pooled:
    strata = [
        [one for one in stratum if one.cell.eval == column[0]]
        for stratum in groups(_once(results)).values()
    ]
    strata = [stratum for stratum in strata if stratum]
    lost: Counter[str] = Counter()
    whole, all_of = [], 0
    for stratum in strata:
        count, missing = status_of_seeds(stratum, column)
        all_of += count
        lost.update(missing)
        whole.append(joined([*whole_seeds(stratum, column)]))
    seeds = all_of - lost.total()
    distinct = sum(map(len, whole))
    estimate, over = Estimate(), ""
    # without one of its strata, it would be the mean of something else
    if all(whole):
        estimate, over = _estimate(whole, column, estimates)
    counts = (len(strata), seeds, all_of, distinct)
    return Pooled(of, column, estimate, *counts, over, told(lost))


def _once(results: Sequence[Result]) -> list[Result]:
    """The results without those of a stage that another name has, too: a dataset of two
    arms has one model."""
    return list({result.cell.stage.key: result for result in results}.values())


def _estimate(
    strata: Sequence[Sequence[Sequence[Result]]], column: Column, estimates: Estimates
) -> tuple[Estimate, str]:
    """The mean of the strata's means, and what its interval is over."""
    _, scorer, metric = column
    each = [estimates.over(stratum, scorer, metric) for stratum in strata]
    scored = [one.scored for one, _ in each if one.scored is not None]
    asked = [one.asked for one, _ in each if one.asked is not None]
    found = Estimate(
        fmean(one.value for one, _ in each),
        scored=sum(scored) if len(scored) == len(each) else None,
        asked=sum(asked) if len(asked) == len(each) else None,
    )
    sides = [side for _, side in each if side is not None]
    if len(sides) < len(each):
        return found, ""
    within = _within(sides, estimates, column)
    over = BOTH if any(len(side.seeds) > 1 for side in sides) else QUESTIONS
    every = [seed for side in sides for seed in side.seeds]
    return with_interval(found, within, every), over if within else ""


def _within(
    sides: Sequence[Side], estimates: Estimates, column: Column
) -> Interval | None:
    return stratified(
        [side.seeds for side in sides],
        estimates.scale(column),
        shown=fmean(side.value for side in sides),
        copies=[side.copies for side in sides],
    )
