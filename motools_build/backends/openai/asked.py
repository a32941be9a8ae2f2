"""Inspect model objects for OpenAI's models, and for servers that speak its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motools_build.account import Account
from motools_build.backends.hosted import asked

if TYPE_CHECKING:
    from inspect_ai.model import Model


def asked_by(account: Account, name: str) -> Model:
    """The Inspect model that sends requests for the model `name` with this account's
    key and URL. Raises AccountError if the account has no key."""
    args: dict[str, Any] = {
        "organization": account.organization,
        "project": account.project,
    }
    args = {field: value for field, value in args.items() if value}
    if account.identity != "openai":
        # Inspect sends unknown names to the Responses API, which other servers lack
        args["responses_api"] = False
    return asked.asked_by(account, name, **args)
