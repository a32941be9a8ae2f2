"""OpenAI's models, and those of servers like it, as Inspect asks them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from motools_build.account import Account
from motools_build.backends.asking import patience

if TYPE_CHECKING:
    from inspect_ai.model import Model
    from tenacity import RetryCallState


def asked_by(account: Account, name: str) -> Model:
    """A model at the account that owns it. Raises AccountError if there is no key."""
    from inspect_ai.model import GenerateConfig, get_model

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
    return model


def _pause(account: Account) -> Callable[[RetryCallState], float]:
    """Seconds before a request is sent again: 3 to 6, then twice as long each time, and
    not past the end of the patience. Inspect's own pauses, which look at no end, reach
    half an hour."""

    def pause(state: RetryCallState) -> float:
        left = patience(account) - (state.seconds_since_start or 0.0)
        longest = 3 * 2.0 ** min(state.attempt_number - 1, 10)
        return max(0.0, min(longest + 3 * random.random(), left))

    return pause
