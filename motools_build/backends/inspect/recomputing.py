"""Lets Inspect recompute an eval's results, without the values that are no numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalLog, EvalScore
    from inspect_ai.scorer import Score

Lost = dict[str, dict[tuple[int | str, int], dict[str | None, str]]]
"""Scorer -> (sample ID, epoch) -> key -> why that value is no number."""


def recomputed(log: EvalLog, task: Task, lost: Lost) -> list[EvalScore]:
    """The results of a log as Inspect computes them if the values in `lost` are NaN.
    Raises whatever a metric of the task raises."""
    from inspect_ai._eval.task.results import eval_results
    from inspect_ai.scorer import SampleScore
    from inspect_ai.scorer._scorer import unique_scorer_name

    samples = log.samples or []
    names: list[str] = []
    for scorer in task.scorer or []:
        names.append(unique_scorer_name(scorer, names))
    scores = []
    for sample in samples:
        at = (sample.id, sample.epoch)
        scores.append(
            {
                name: SampleScore(
                    score=_without(score, lost.get(name, {}).get(at)),
                    sample_id=sample.id,
                    sample_metadata=sample.metadata,
                )
                for name, score in (sample.scores or {}).items()
            }
        )
    results, _ = eval_results(
        samples=len(samples),
        scores=scores,
        reducers=task.epochs_reducer,
        scorers=task.scorer,
        metrics=task.metrics,
        scorer_names=names or None,
        completed_samples=len(samples),
    )
    return list(results.scores)


def _without(score: Score, keys: Mapping[str | None, str] | None) -> Score:
    if not keys:
        return score
    if not isinstance(score.value, Mapping):
        return score.model_copy(update={"value": math.nan})
    value = {**score.value, **{str(key): math.nan for key in keys}}
    return score.model_copy(update={"value": value})
