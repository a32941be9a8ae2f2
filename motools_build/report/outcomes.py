"""Which of a scorer's metrics are values, and what became of answers without a number.

A metric that counts what became of the answers is no column of a table: its counts are
told below it. Such a metric returns several values from one function, whole numbers
all, and the names end in what became of an answer, `scored` for those that have a
number: `scored`, `refused`; or for each of several prompts of a judge
`aligned_scored`, `aligned_refused`. An eval's record says which they are (`counts`);
records made before that was so are recognised by the names that judges used then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from motools_build.backends.inspect.scores import (
    BY_CHANCE,
    SCORED,
    is_standard_error,
)

BEFORE = (SCORED, "refused", "code", "incoherent", "failed")
"""The outcomes of the only judges whose records do not say which metrics are counts."""

Outcomes = Mapping[str, Mapping[str, str]]
"""What a count's name begins with (`aligned_`, or nothing) -> outcome -> metric."""


def outcomes(metrics: Mapping[str, Any], told: Collection[str] = ()) -> Outcomes:
    """The counts among a scorer's metrics; `told` are those that its record names."""
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
    """The metrics of a scorer that are neither counts nor standard errors; an interval
    says what a standard error would. `own` are those of the task that are called as our
    own counts are, `told` the counts that the record names."""
    of_each = outcomes(metrics, told).values()
    counts = {name for of in of_each for name in of.values()} | {"n", "unscored"}
    return [
        name
        for name in metrics
        if name in own or not (name in counts or is_standard_error(name))
    ]


def told(
    scores: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[str]:
    """`aligned: 2 refused, 7 scored`, of what is not scored throughout; both as an
    eval's record has them."""
    for scorer, metrics in scores.items():
        of_scorer = (counts or {}).get(scorer, {})
        for begin, of in outcomes(metrics, of_scorer.get("outcomes", ())).items():
            found = {what: int(metrics[name] or 0) for what, name in of.items()}
            scored = found.pop(SCORED, 0)
            lost = [f"{count} {what}" for what, count in found.items() if count]
            if lost:
                of_whom = begin.rstrip("_") or scorer
                yield f"{of_whom}: {', '.join(lost)}, {scored} scored"


def noticed(details: Mapping[str, Any]) -> Iterator[str]:
    """What else to know of an eval's numbers: which answers have none, which were ended
    by a limit, and whether the model was asked at all. `details` are a record's."""
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
            if not is_standard_error(metric):  # which a single answer has none of
                yield f"{scorer}: {metric} is {value}"


def _is_known(what: str) -> bool:
    """Whether a scorer said itself that it has no number, or a limit is told."""
    return what in ("nan", "none") or what.startswith("ended by ")
