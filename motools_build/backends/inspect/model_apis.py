"""The models of an eval, with nothing of them left to the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motools_build.account import Account
from motools_build.backends import registry
from motools_build.backends.asking import Ask
from motools_build.backends.base import checkpoint_of
from motools_build.backends.inspect.apart import scores_apart
from motools_build.backends.inspect.caching import never_cached
from motools_build.backends.inspect.utf8 import whole_answers
from motools_build.backends.job import StageJob
from motools_build.params import AskParams
from motools_build.specs import ModelName

if TYPE_CHECKING:
    from inspect_ai.model import Model

RECORDED = "recorded"
"""Kind of a model whose answers are there: it is not asked again."""


def subject(job: StageJob) -> Model:
    """The model that the eval is of."""
    params = AskParams.of(job).subject
    name, made = f"motools/{params.served_as}", job.given.get("model")
    if scores_apart(job):
        return _served(job, name, kind=RECORDED)
    base = ModelName.parse(params.model)
    model = checkpoint_of(job, made) if made else base.model
    asked = _asked(base, model, job.account)
    if asked is not None:
        never_cached(asked.api)
        return asked
    weights = job.given.get("base")
    return _served(
        job,
        name,
        kind=base.backend,
        weights=weights.path if weights else None,
        adapter=made.path if made else None,
    )


def judges(job: StageJob) -> dict[str, Model]:
    """The models of the eval's roles, each named explicitly: a judge that a scorer
    takes by default is recorded nowhere."""
    found = {}
    for role, text in AskParams.of(job).task.roles.items():
        name = ModelName.parse(text)
        asked = _asked(name, name.model, job.judges.get(role))
        found[role] = asked or _served(job, f"motools/{name}")
    return found


def first_epoch(job: StageJob) -> int:
    """Which one Inspect calls 1: a job may be a block of an eval's epochs."""
    return AskParams.of(job).task.first_epoch


def _asked(name: ModelName, model: str, account: Account | None) -> Model | None:
    """A model as its backend has it asked; None if this machine serves it."""
    asked = registry.get(name.backend).asked(Ask(model, account))
    return None if asked is None else whole_answers(asked)


def _served(job: StageJob, name: str, **args: Any) -> Model:
    from inspect_ai.model import get_model

    model = get_model(name, memoize=False, first_epoch=first_epoch(job), **args)
    return whole_answers(model)
