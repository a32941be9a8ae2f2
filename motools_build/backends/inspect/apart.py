"""Tells which jobs score recorded answers of other stages, instead of asking a
model."""

from __future__ import annotations

from motools_build.backends.job import StageJob
from motools_build.params import AskParams


def scores_apart(job: StageJob) -> bool:
    """Whether the job is an eval with a separate scorer (`Eval(scorer=...)`): its
    answers are artifacts of their own, and the model under test is not asked."""
    return AskParams.of(job).task.scorer is not None
