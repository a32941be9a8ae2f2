"""Inspect model objects that send requests for an account."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from motools_build.account import Account
from motools_build.backends.asking import patience
from motools_build.errors import MissingExtra

if TYPE_CHECKING:
    from inspect_ai.model import Model
    from tenacity import RetryCallState


def asked_by(account: Account, name: str, **args: Any) -> Model:
    """The Inspect model that sends requests for the model `name` with this account's
    key and URL. `args` are arguments of Inspect's provider.

    Raises AccountError if the account has no key, and MissingExtra if the provider's
    package is not installed.
    """
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import GenerateConfig, get_model

    try:
        model = get_model(
            f"{account.provider}/{name}",
            memoize=False,
            # without this timeout, a server that accepts a request and never answers
            # is waited for by the client's default: ten minutes, three times over
            config=GenerateConfig(attempt_timeout=patience(account)),
            api_key=account.key() or None,
            base_url=account.base_url or None,
            **args,
        )
    except PrerequisiteError as error:
        raise MissingExtra(f"{account.provider}/{name}: {error}") from error
    # one connection pool per account: Inspect makes one per model name, and with many
    # checkpoints the load on the account's quota would multiply
    pool = f"account {account.name}"
    model.api.connection_key = lambda: pool  # type: ignore[method-assign]
    model.api.retry_wait = lambda: _pause(account)  # type: ignore[method-assign]
    return model


def _pause(account: Account) -> Callable[[RetryCallState], float]:
    """A function that gives the seconds until a request's next retry: 3 to 6 after the
    first attempt, about twice as long each time, and never past the attempt's timeout
    (`patience`). Inspect's own pauses ignore the timeout and reach half an hour."""

    def pause(state: RetryCallState) -> float:
        left = patience(account) - (state.seconds_since_start or 0.0)
        longest = 3 * 2.0 ** min(state.attempt_number - 1, 10)
        return max(0.0, min(longest + 3 * random.random(), left))

    return pause
