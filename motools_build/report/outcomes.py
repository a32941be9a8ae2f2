"""Answers that a judge gave no number: counted, and told apart from the values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from motools_build.backends.inspect.scores import BY_CHANCE

OUTCOMES = ("scored", "refused", "code", "incoherent", "failed")
"""What becomes of an answer at a judge of zoo/evals/judges.py; each is a metric, or one
for each of its prompts (`aligned_refused`)."""


def counted(metrics: Mapping[str, Any]) -> list[str]:
    """The beginnings of the counts among a scorer's metrics: `aligned_`; where only one
    prompt is judged, nothing."""
    ends = OUTCOMES[0]
    return [
        begin
        for begin in (name[: -len(ends)] for name in metrics if name.endswith(ends))
        if all(f"{begin}{outcome}" in metrics for outcome in OUTCOMES)
    ]


def values(metrics: Mapping[str, Any], own: Collection[str] = ()) -> list[str]:
    """The metrics of a scorer that are no counts; `own` are those of the task that are
    called as counts are (`counts` of a record says which)."""
    counts = {f"{begin}{name}" for begin in counted(metrics) for name in OUTCOMES}
    return [
        name
        for name in metrics
        if name in own
        or not (name in counts or name in ("n", "unscored") or name.endswith("stderr"))
    ]


def told(scores: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """`aligned: 2 refused, 7 scored`, of what is not scored throughout."""
    for scorer, metrics in scores.items():
        for begin in counted(metrics):
            found = {
                outcome: int(metrics[f"{begin}{outcome}"] or 0) for outcome in OUTCOMES
            }
            scored = found.pop("scored")
            lost = [f"{count} {outcome}" for outcome, count in found.items() if count]
            if lost:
                yield f"{begin[:-1] or scorer}: {', '.join(lost)}, {scored} scored"


def noticed(details: Mapping[str, Any]) -> Iterator[str]:
    """What else to know of an eval's numbers: what has none, what limits ended, and
    whether the model was asked at all."""
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
            if not metric.endswith("stderr"):  # which a single answer has none of
                yield f"{scorer}: {metric} is {value}"


def _is_known(what: str) -> bool:
    """Whether a scorer said itself that it has no number, or a limit is told."""
    return what in ("nan", "none") or what.startswith("ended by ")
