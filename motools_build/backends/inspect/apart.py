"""Which jobs score answers that another stage recorded, instead of asking a model."""

from __future__ import annotations

from motools_build.backends.job import StageJob
from motools_build.params import AskParams


def scores_apart(job: StageJob) -> bool:
    """Whether the job is an eval whose scorer is named apart from its task: the answers
    are artifacts of their own, and no model is asked for new ones."""
    return AskParams.of(job).task.scorer is not None
