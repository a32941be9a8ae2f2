"""The models of an eval, with nothing of them left to the environment."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from motools_build.account import Account
from motools_build.backends.base import Job, checkpoint_of
from motools_build.backends.inspect.apart import scores_apart
from motools_build.backends.inspect.caching import never_cached
from motools_build.backends.inspect.utf8 import whole_answers

if TYPE_CHECKING:
    from inspect_ai.model import Model
    from tenacity import RetryCallState

TRIES = 1
"""Retries of a sample that failed, within the run."""


def subject(job: Job) -> Model:
    """The model that the eval is of."""
    params = job.params
    name, made = f"motools/{params['subject']}", job.given.get("model")
    if scores_apart(job):  # its answers are there, and it is not asked again
        return _served(job, name, kind="recorded")
    if params["model"].startswith("openai/"):
        hosted = params["model"].split("/", 1)[1]
        model = _hosted(job, checkpoint_of(job, made) if made else hosted)
        never_cached(model.api)
        return model
    adapter = made.folder if made else None
    if params["model"].startswith("dummy/"):
        return _served(job, name, kind="dummy", adapter=adapter)
    weights = job.given["base"].details["file"]
    return _served(job, name, kind="embedded", weights=weights, adapter=adapter)


def judges(job: Job) -> dict[str, Model]:
    """The models of the eval's roles, each named explicitly: a judge that a scorer
    takes by default is recorded nowhere."""
    return {
        role: _hosted(job, name.split("/", 1)[1])
        if name.startswith("openai/")
        else _served(job, f"motools/{name}")
        for role, name in job.params["roles"].items()
    }


def patience(account: Account) -> int:
    """Seconds that one try of a sample waits for an answer: all its tries together
    have the account's `request_seconds`."""
    return max(1, account.request_seconds // (1 + TRIES))


def first_epoch(job: Job) -> int:
    """Which one Inspect calls 1: a job may be a block of an eval's epochs."""
    first: int = job.params.get("first_epoch", 1)
    return first


def _served(job: Job, name: str, **args: Any) -> Model:
    from inspect_ai.model import get_model

    model = get_model(name, memoize=False, first_epoch=first_epoch(job), **args)
    return whole_answers(model)


def _hosted(job: Job, name: str) -> Model:
    """A model at the account that owns it."""
    from inspect_ai.model import GenerateConfig, get_model

    account = Account(**job.params["account"])
    args: dict[str, Any] = {
        "organization": account.organization,
        "project": account.project,
    }
    args = {field: value for field, value in args.items() if value}
    if account.identity != "openai":
        # names that Inspect does not know go to the Responses API, which others lack
        args["responses_api"] = False
    model = get_model(
        f"openai/{name}",
        memoize=False,
        # without it a server that takes a request and says nothing is waited for as
        # long as the client likes: ten minutes, three times over
        config=GenerateConfig(attempt_timeout=patience(account)),
        api_key=account.key(),
        base_url=account.base_url,
        **args,
    )
    # one pool of connections an account: Inspect's own are one a checkpoint, and many
    # checkpoints would multiply the load on one quota
    pool = f"account {account.name}"
    model.api.connection_key = lambda: pool  # type: ignore[method-assign]
    model.api.retry_wait = lambda: _pause(account)  # type: ignore[method-assign]
    return whole_answers(model)


def _pause(account: Account) -> Callable[[RetryCallState], float]:
    """Seconds before a request is sent again: 3 to 6, then twice as long each time, and
    not past the end of the patience. Inspect's own pauses, which look at no end, reach
    half an hour."""

    def pause(state: RetryCallState) -> float:
        left = patience(account) - (state.seconds_since_start or 0.0)
        longest = 3 * 2.0 ** min(state.attempt_number - 1, 10)
        return max(0.0, min(longest + 3 * random.random(), left))

    return pause
