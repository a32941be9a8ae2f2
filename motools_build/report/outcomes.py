"""Which of a scorer's metrics are values, and the outcomes of answers without a number.

Some metrics count the outcomes of answers. They are no columns of a table; their counts
are listed below it. A scorer has such a metric if one function returns several integers
whose names end in an outcome, where `scored` counts the answers with a number:
`scored`, `refused`. A judge with several prompts has them for each prompt:
`aligned_scored`, `aligned_refused`. An eval's record lists them under `counts`; in
older records, which do not, they are recognised by the names that judges used.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from motools_build.backends.inspect.scores import (
    BY_CHANCE,
    SCORED,
    is_standard_error,
)

BEFORE = (SCORED, "refused", "code", "incoherent", "failed")
"""The outcomes in older records, whose judges do not say which metrics are counts."""

LOST = tuple(name for name in BEFORE if name != SCORED)
"""The outcomes of an answer without a number that are columns of flat rows."""

Outcomes = Mapping[str, Mapping[str, str]]
"""Prefix of the counts' names (`aligned_`, or empty) -> outcome -> metric."""


def outcomes(metrics: Mapping[str, Any], told: Collection[str] = ()) -> Outcomes:
    """The counts among a scorer's metrics. `told` is the list of counts in the record;
    if it is empty, counts are recognised by the outcomes `BEFORE`."""
    names = told or metrics
    begins = [name[: -len(SCORED)] for name in names if name.endswith(SCORED)]
    if not told:
        known = {
            begin: {outcome: f"{begin}{outcome}" for outcome in BEFORE}
            for begin in begins
        }
        return {
            begin: of
            for begin, of in known.items()
            if all(name in metrics for name in of.values())
        }
    found: dict[str, dict[str, str]] = {}
    for name in told:
        begin = max((b for b in begins if name.startswith(b)), key=len, default="")
        if name in metrics:
            found.setdefault(begin, {})[name.removeprefix(begin)] = name
    return found


def values(
    metrics: Mapping[str, Any], own: Collection[str] = (), told: Collection[str] = ()
) -> list[str]:
    """The metrics of a scorer that are neither counts nor standard errors; a standard
    error is redundant beside an interval. `own` are metrics of the task that have the
    name of one of our counts, `told` the counts that the record lists."""
    return [*_values(tuple(metrics), tuple(own), tuple(told))]


@functools.lru_cache(1024)  # thousands of evals have the same few names
def _values(
    metrics: tuple[str, ...], own: tuple[str, ...], told: tuple[str, ...]
) -> tuple[str, ...]:
    of_each = outcomes(dict.fromkeys(metrics), told).values()
    counts = {name for of in of_each for name in of.values()} | {"n", "unscored"}
    return tuple(
        name
        for name in metrics
        if name in own or not (name in counts or is_standard_error(name))
    )


def told(
    scores: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[str]:
    """A line such as `aligned: 2 refused, 7 scored` for each scorer or prompt that left
    answers without a number. Both arguments are fields of an eval's record."""
    for scorer, metrics in scores.items():
        of_scorer = (counts or {}).get(scorer, {})
        for begin, of in outcomes(metrics, of_scorer.get("outcomes", ())).items():
            found = {what: int(metrics[name] or 0) for what, name in of.items()}
            scored = found.pop(SCORED, 0)
            lost = [f"{count} {what}" for what, count in found.items() if count]
            if lost:
                of_whom = begin.rstrip("_") or scorer
                yield f"{of_whom}: {', '.join(lost)}, {scored} scored"


def lost(details: Mapping[str, Any], scorer: str, metric: str) -> dict[str, int]:
    """Outcome -> number of answers that have it instead of a number, of one metric;
    empty if its scorer counts none. `details` is the record's. The counts of a judge
    with several prompts are those of the prompt that the metric is named like."""
    metrics = details["scores"].get(scorer, {})
    told = details.get("counts", {}).get(scorer, {}).get("outcomes", ())
    found = outcomes(metrics, told)
    of = found.get(f"{metric}_", found.get("", {}))
    return {what: int(metrics[n] or 0) for what, n in of.items() if what != SCORED}


def noticed(details: Mapping[str, Any]) -> Iterator[str]:
    """Lines about an eval's numbers that the scores do not show: answers without a
    number, samples ended by a limit, a model that was never asked. `details` is the
    record's."""
    if details.get("never_asked"):
        yield "the model was never asked: the task's solvers do not call it"
    for limit, count in details.get("limits", {}).items():
        whose = "its" if count == 1 else "their"
        end = "unscored" if limit in BY_CHANCE else "scored as they were"
        yield f"{count} of {details['samples']} ended by {whose} {limit} limit: {end}"
    for scorer, count in details.get("counts", {}).items():
        was = {w: k for w, k in count.get("was", {}).items() if not _is_known(w)}
        if was:
            listed = ", ".join(f"{number} {what}" for what, number in was.items())
            lost = count["asked"] - count["scored"]
            yield (
                f"{scorer}: {lost} of {count['asked']} answers have no number, and are "
                f"in no mean: {listed}"
            )
        for metric, value in count.get("not_finite", {}).items():
            if not is_standard_error(metric):  # a single answer has no standard error
                yield f"{scorer}: {metric} is {value}"


def _is_known(what: str) -> bool:
    """Whether the outcome needs no line: the scorer itself gave no number, or a limit
    ended the sample, which has its own line."""
    return what in ("nan", "none") or what.startswith("ended by ")
