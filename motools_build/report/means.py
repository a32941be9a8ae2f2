"""Means over seeds, of each arm's, dataset's, model's and training's results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from motools_build.backends.inspect.scores import number
from motools_build.report.estimates import Column, Estimate, Estimates, columns
from motools_build.report.results import Result, named_parts, parts_shown
from motools_build.report.tables import Shown, metrics_table, print_fitting

OVER_SEEDS = (
    "[low, high]: 95 %, over new seeds and questions; with a single seed over new "
    "questions, of this model only"
)
"""Under the table of means."""

Group = tuple[str, str, str, str]
"""Arm, dataset, model and training."""


@dataclass(frozen=True)
class Mean:
    """A metric's mean over the seeds of one arm, dataset, model and training."""

    group: Group
    column: Column
    estimate: Estimate
    seeds: int
    """Seeds all of whose replicates have a result; the others are in no mean."""
    of: int
    """Seeds there are."""
    status: str
    """`ok`; of an arm with seeds in no mean, what they are: `stale`, `2 failed, 1
    missing`."""

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
            "half": half,  # of its width; the mean need not be in its middle
            "seeds": self.seeds,
            "of": self.of,
            **found.as_json(),
            "status": self.status,
        }

    @property
    def shown(self) -> Shown:
        """Its cell; where no seed is in it, why."""
        if not self.seeds:
            return self.status, ""
        return str(self.estimate), self.estimate.count

    @property
    def seeds_shown(self) -> str:
        """`3`, `2 of 3`, `1 (this model)`"""
        shown = f"{self.seeds}" + (f" of {self.of}" if self.seeds != self.of else "")
        return shown + (" (this model)" if self.seeds == 1 else "")


def _groups(found: list[Result]) -> dict[Group, list[Result]]:
    groups: dict[Group, list[Result]] = {}
    for result in found:
        if result.cell.seed is not None:
            groups.setdefault(named_parts(result.cell), []).append(result)
    return groups


def means(
    found: list[Result], estimates: Estimates, most: int | None = None
) -> Iterator[Mean]:
    """One for each of the first `most` groups and metric, in the order of the results.
    A seed's replicates count as one value: they are not independent of each other."""
    every = columns(found)
    for group, results in list(_groups(found).items())[:most]:
        evals = {result.cell.eval for result in results}
        for column in every:
            if column[0] in evals:
                yield _mean(group, column, results, estimates)


def _mean(
    group: Group, column: Column, results: list[Result], estimates: Estimates
) -> Mean:
    an_eval, scorer, metric = column
    by_seed: dict[int | None, list[Result]] = {}
    for result in results:
        if result.cell.eval == an_eval:
            by_seed.setdefault(result.cell.seed, []).append(result)
    whole, lost = [], Counter[str]()
    for replicates in by_seed.values():
        if all(_has_number(result, scorer, metric) for result in replicates):
            whole.append(replicates)
        else:
            lost[_status(replicates)] += 1
    return Mean(
        group,
        column,
        estimates.over(whole, scorer, metric) if whole else Estimate(),
        seeds=len(whole),
        of=len(by_seed),
        status=_told(lost),
    )


def _has_number(result: Result, scorer: str, metric: str) -> bool:
    if result.record is None or result.status != "ok":
        return False
    value = result.record.details["scores"].get(scorer, {}).get(metric)
    return not isinstance(value, str) and number(value) is not None


def _status(replicates: list[Result]) -> str:
    """Of a seed that is in no mean."""
    other = [result.status for result in replicates if result.status != "ok"]
    return other[0] if other else "without a number"


def _told(lost: Counter[str]) -> str:
    if len(lost) > 1:
        return ", ".join(f"{count} {status}" for status, count in lost.items())
    return next(iter(lost), "ok")


def print_means(
    found: list[Result], estimates: Estimates, console: Any, most: int | None = None
) -> None:
    """Print the table of the means, of the first `most` groups; nothing where no group
    has several seeds."""
    groups = _groups(found)
    if not any(len({r.cell.seed for r in of}) > 1 for of in groups.values()):
        return
    all_means = list(means(found, estimates, most))
    print_fitting(partial(means_table, found, all_means), console)
    if most is not None and len(groups) > most:
        console.print(f"... and {len(groups) - most} more")
    if any(mean.estimate.low is not None for mean in all_means):
        console.print(OVER_SEEDS)


def means_table(found: list[Result], all_means: list[Mean], width: int) -> Any:
    """A rich table of the means."""
    parts, model = parts_shown([result.cell for result in found], width)
    groups: dict[Group, dict[Column, Mean]] = {}
    for mean in all_means:
        groups.setdefault(mean.group, {})[mean.column] = mean
    models = []
    for group, of_group in groups.items():
        named = dict(zip(("arm", "dataset", "model", "training"), group, strict=True))
        counts = sorted({mean.seeds_shown for mean in of_group.values()})
        models.append([*(named[part] for part in parts), "/".join(counts)])
    return metrics_table(
        f"mean over seeds: {model}" if model else "mean over seeds",
        [*parts, "seeds"],
        models,
        {
            column: [
                of[column].shown if column in of else ("", "") for of in groups.values()
            ]
            for column in dict.fromkeys(mean.column for mean in all_means)
        },
        width,
    )
