"""Which jobs score answers that another stage recorded, instead of asking a model."""

from __future__ import annotations

from motools_build.backends.base import Job


def scores_apart(job: Job) -> bool:
    """Whether the job is an eval whose scorer is named apart from its task: the answers
    are artifacts of their own, and no model is asked for new ones."""
    return job.kind == "eval" and "scorer" in job.params
