"""The Inspect models of an eval, with no setting left to environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motools_build.account import Account
from motools_build.backends import registry
from motools_build.backends.asking import Ask
from motools_build.backends.base import checkpoint_of
from motools_build.backends.inspect.apart import scores_apart
from motools_build.backends.inspect.caching import never_cached
from motools_build.backends.inspect.utf8 import whole_answers
from motools_build.backends.job import Given, StageJob
from motools_build.params import AskParams
from motools_build.specs import ModelName

if TYPE_CHECKING:
    from inspect_ai.model import Model

RECORDED = "recorded"
"""The kind of a stand-in model whose answers are recorded, so it is never asked."""


def subject(job: StageJob) -> Model:
    """The model under test: a provider's, one that this machine serves, or a stand-in
    if its answers are recorded. Raises EvalFailed if it lacks the eval's checkpoint."""
    params = AskParams.of(job).subject
    name, made = f"motools/{params.served_as}", job.given.get("model")
    if scores_apart(job):
        return _served(job, name, kind=RECORDED)
    base = ModelName.parse(params.asked)
    model = checkpoint_of(job, made) if made else base.model
    asked = _asked(base, model, job.account)
    if asked is not None:
        never_cached(asked.api)
        return asked
    backend = registry.get(base.backend)
    return _served(
        job,
        name,
        kind=base.backend,
        weights=backend.weights(base.model, job.given.get("base")),
        adapter=_folder(made, model) if made else None,
        **_at_server(job, base),
    )


def _folder(made: Given, model: str) -> str:
    """The payload of a fine-tune of this machine, or of its checkpoint `model`."""
    return made.path if model == made.output else f"{made.path}/{model}"


def judges(job: StageJob) -> dict[str, Model]:
    """Role -> model of each of the eval's roles. Each judge is named explicitly,
    because a judge that a scorer takes by default is recorded nowhere."""
    found = {}
    for role, text in AskParams.of(job).task.roles.items():
        name = ModelName.parse(text)
        asked = _asked(name, name.model, job.judges.get(role))
        found[role] = asked or _judge(job, name)
    return found


def _judge(job: StageJob, name: ModelName) -> Model:
    """A judge that this machine serves: a base model."""
    same = AskParams.of(job).subject.asked == str(name)
    base = job.given.get("base" if same else f"base:{name}")
    weights = registry.get(name.backend).weights(name.model, base)
    at_server = _at_server(job, name)
    return _served(
        job, f"motools/{name}", kind=name.backend, weights=weights, **at_server
    )


def _at_server(job: StageJob, name: ModelName) -> dict[str, Any]:
    """Arguments of our provider that concern servers of this machine (see
    `Backend.at_server`); empty if the backend has no table."""
    table = job.tables.get(name.backend)
    return {"base": name.model, "table": dict(table)} if table else {}


def first_epoch(job: StageJob) -> int:
    """The eval's epoch that Inspect counts as 1: a job may be a block of epochs."""
    return AskParams.of(job).task.first_epoch


def _asked(name: ModelName, model: str, account: Account | None) -> Model | None:
    """The Inspect model from the model's backend; None if this machine serves it."""
    asked = registry.get(name.backend).asked(Ask(model, account))
    return None if asked is None else whole_answers(asked)


def _served(job: StageJob, name: str, **args: Any) -> Model:
    from inspect_ai.model import get_model

    model = get_model(name, memoize=False, first_epoch=first_epoch(job), **args)
    return whole_answers(model)
