"""Means over seeds of each metric, for each arm, dataset, model and training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motools_build.backends.inspect.scores import number
from motools_build.report.cells import named_parts
from motools_build.report.copies import alike, joined
from motools_build.report.estimates import Column, Estimate, Estimates, columns

Group = tuple[str, str, str, str]
"""Arm, dataset, model and training."""

MEAN = (
    *("arm", "dataset", "model", "training", "eval", "scorer", "metric"),
    *("mean", "half", "seeds", "of", "distinct"),
    *("value", "low", "high", "scored", "asked"),
    "status",
)

if TYPE_CHECKING:
    from motools_build.report.results import Result
"""The fields of a mean, as JSON and data frames have them."""


@dataclass(frozen=True)
class Mean:
    """A metric's mean over the seeds of one arm, dataset, model and training."""

    group: Group
    column: Column
    estimate: Estimate
    seeds: int
    """Number of seeds in the mean: those all of whose replicates have a result."""
    of: int
    """Number of all seeds."""
    distinct: int
    """Number of different models among the seeds in the mean, each with all of its
    replicates. Seeds of one model count as one in the interval."""
    alike: bool
    """Whether several models have the same scores for every question."""
    status: str
    """`ok` if every seed is in the mean; else the status of the missing seeds, such as
    `stale` or `2 failed, 1 missing`."""

    @property
    def copies(self) -> str:
        """What to tell of seeds that are copies of each other; empty if none are."""
        if self.distinct < self.seeds:
            models = f"{self.distinct} distinct model" + "s" * (self.distinct > 1)
            return f"{self.seeds} seeds, {models}: equal weights count as one seed"
        if self.alike:
            metric = " ".join(filter(None, self.column))
            return (
                f"{self.seeds} seeds have the same scores ({metric}): either the seed "
                "changes nothing that this eval sees, or the models agree"
            )
        return ""

    def as_json(self) -> dict[str, Any]:
        arm, dataset, model, training = self.group
        an_eval, scorer, metric = self.column
        found = self.estimate
        half = None
        if found.low is not None and found.high is not None:
            half = (found.high - found.low) / 2
        return {
            "arm": arm,
            "dataset": dataset,
            "model": model,
            "training": training,
            "eval": an_eval,
            "scorer": scorer,
            "metric": metric,
            "mean": found.value,
            "half": half,  # half the width; the mean may be off the middle
            "seeds": self.seeds,
            "of": self.of,
            "distinct": self.distinct,
            **found.as_json(),
            "status": self.status,
        }


def groups(found: Sequence[Result]) -> dict[Group, list[Result]]:
    """The results of fine-tuned models, grouped by arm, dataset, model and training:
    all seeds of a model are in one group."""
    by_group: dict[Group, list[Result]] = {}
    for result in found:
        if result.cell.seed is not None:
            by_group.setdefault(named_parts(result.cell), []).append(result)
    return by_group


def means(
    found: Sequence[Result], estimates: Estimates, most: int | None = None
) -> Iterator[Mean]:
    """A mean for each metric of each group, in the order of the results; with `most`,
    of the first groups only. A seed's replicates count as one value, because they are
    not independent of each other."""
    every = columns(found)
    for group, results in list(groups(found).items())[:most]:
        evals = {result.cell.eval for result in results}
        for column in every:
            if column[0] in evals:
                yield _mean(group, column, results, estimates)


def status_of_seeds(
    results: Sequence[Result], column: Column
) -> tuple[int, Counter[str]]:
    """The number of a group's seeds, and of those that no mean has, by the reason."""
    by_seed = _by_seed(results, column)
    lost = Counter(_status(one) for one in by_seed if not _is_whole(one, column))
    return len(by_seed), lost


def _mean(
    group: Group, column: Column, results: list[Result], estimates: Estimates
) -> Mean:
    _, scorer, metric = column
    seeds, lost = status_of_seeds(results, column)
    whole = [*whole_seeds(results, column)]
    models = joined(whole)
    estimate, side = Estimate(), None
    if models:
        estimate, side = estimates.over(models, scorer, metric)
    return Mean(
        group,
        column,
        estimate,
        seeds=len(whole),
        of=seeds,
        distinct=len(models),
        alike=side is not None and alike(side.seeds),
        status=told(lost),
    )


def whole_seeds(results: Sequence[Result], column: Column) -> Iterator[list[Result]]:
    """The results of each seed of a group, one for each replicate, of the seeds all of
    whose replicates have a number."""
    return (one for one in _by_seed(results, column) if _is_whole(one, column))


def _is_whole(replicates: Sequence[Result], column: Column) -> bool:
    _, scorer, metric = column
    return all(_has_number(result, scorer, metric) for result in replicates)


def _by_seed(results: Sequence[Result], column: Column) -> list[list[Result]]:
    found: dict[int | None, list[Result]] = {}
    for result in results:
        if result.cell.eval == column[0]:
            found.setdefault(result.cell.seed, []).append(result)
    return list(found.values())


def _has_number(result: Result, scorer: str, metric: str) -> bool:
    if result.record is None or result.status != "ok":
        return False
    value = result.record.details["scores"].get(scorer, {}).get(metric)
    return not isinstance(value, str) and number(value) is not None


def _status(replicates: list[Result]) -> str:
    """Why a seed is not in the mean: a status, or `without a number`."""
    other = [result.status for result in replicates if result.status != "ok"]
    return other[0] if other else "without a number"


def told(lost: Counter[str]) -> str:
    """The status of a mean without these seeds, by the reason: `ok`, if none."""
    if len(lost) > 1:
        return ", ".join(f"{count} {status}" for status, count in lost.items())
    return next(iter(lost), "ok")
