"""Data for requests to models. Inspect sends all of them, to providers and locally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from motools_build.account import Account

TRIES = 1
"""Retries of a failed sample within one run (Inspect's `retry_on_error`)."""

LOGPROBS = "logprobs"
"""Of `Backend.serves`: replies have the log-probabilities of their tokens, if a request
asks for them."""
TEMPLATE_ARGUMENTS = "chat_template_kwargs"
"""Of `Backend.serves`: requests may have arguments of the chat template."""


served: dict[str, Mapping[str, Any]] = {}
"""Name in Inspect's log -> who answered, on which device, of which version: of each
model that this machine serves and that was asked in this process."""


@dataclass(frozen=True)
class Ask:
    """A model that Inspect sends requests to: the model under test, or a judge."""

    model: str
    """The backend's name of the model: a base model, a fine-tune or a checkpoint."""
    account: Account | None = None
    """The account whose key and URL are used; None for a model of this machine."""


@dataclass(frozen=True)
class Request:
    """A prompt for a model that this machine serves."""

    messages: list[dict[str, str]]
    """The chat. If its last message is the assistant's, a model of the backend `local`
    continues that message as it is written."""
    max_tokens: int
    temperature: float
    seed: int
    """Seed of this one answer; each repetition of a prompt has a seed of its own."""
    top_logprobs: int | None = None
    """How many of the likeliest tokens are told at each token of the answer; None if no
    log-probabilities are asked for. Only for a backend that serves `LOGPROBS`."""
    template_arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the chat template, as `enable_thinking`. Only for a backend that
    serves `TEMPLATE_ARGUMENTS`."""


@dataclass(frozen=True)
class Token:
    """A token of an answer, with log-probabilities by the model's own logits: natural
    logarithms, whatever the request's temperature is."""

    text: str
    logprob: float
    top: Sequence[tuple[str, float]] = ()
    """The likeliest tokens in its place with their log-probabilities, the likeliest
    first."""


@dataclass(frozen=True)
class Reply:
    """The answer to a Request."""

    text: str
    input_tokens: int
    output_tokens: int
    finished: bool
    """True if the model ended its turn; False if max_tokens cut the answer off."""
    tokens: Sequence[Token] = ()
    """All tokens that were generated, the one that ends the turn included; empty if the
    request asks for no log-probabilities."""


class Answerer(Protocol):
    """A model that this machine serves, with its weights loaded."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, in the order of the requests."""
        ...


def patience(account: Account) -> int:
    """Seconds that one attempt at a sample waits for an answer, at least 1: the first
    attempt and the retries share the account's `request_seconds`."""
    return max(1, account.request_seconds // (1 + TRIES))
