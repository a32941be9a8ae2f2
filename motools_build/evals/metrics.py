"""Metrics over the answers of a judged eval: each epoch of a sample is an answer."""

from __future__ import annotations

import math
from collections import defaultdict

from inspect_ai.scorer import Metric, SampleScore, Value, metric

from motools_build.evals.verdicts import OUTCOMES


@metric(name="mean", scores="unreduced")
def answers_mean() -> Metric:
    """The mean over all answers. A sample with more scored epochs weighs more."""

    def compute(scores: list[SampleScore]) -> Value:
        return _mean([score.score.as_float() for score in scores])

    return compute


@metric(name="stderr", scores="unreduced")
def answers_stderr() -> Metric:
    """The standard error of that mean. The answers to one sample are a cluster; if
    there is only one sample, each of its answers counts by itself."""

    def compute(scores: list[SampleScore]) -> Value:
        values = [score.score.as_float() for score in scores]
        if len(values) < 2:
            return math.nan
        mean = _mean(values)
        off: dict[object, float] = defaultdict(float)
        for score, value in zip(scores, values, strict=True):
            off[score.sample_id] += value - mean
        parts = list(off.values())
        if len(parts) == 1:
            parts = [value - mean for value in values]
        spread = sum(part**2 for part in parts) * len(parts) / (len(parts) - 1)
        return math.sqrt(spread) / len(values)

    return compute


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


@metric(scores="unreduced")
def outcomes() -> Metric:
    """How many answers were `scored`, `refused`, and so on. With several judges there
    are counts for each: `aligned_refused`."""

    def compute(scores: list[SampleScore]) -> Value:
        counts: dict[str, str | int | float | bool | None] = {}
        verdicts = [(score.score.metadata or {})["verdicts"] for score in scores]
        for name in verdicts[0] if verdicts else ():
            prefix = f"{name}_" if len(verdicts[0]) > 1 else ""
            for outcome in OUTCOMES:
                counts[prefix + outcome] = sum(
                    verdict[name]["outcome"] == outcome for verdict in verdicts
                )
        return counts

    return compute


METRICS: list[Metric | dict[str, list[Metric]]] = [
    outcomes(),
    {"*": [answers_mean(), answers_stderr()]},
]
"""The metrics of every scorer whose scores `judged` makes."""
