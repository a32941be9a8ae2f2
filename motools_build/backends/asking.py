"""How a backend's models are asked: by Inspect, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from motools_build.account import Account

TRIES = 1
"""Retries of a sample that failed, within the run."""


@dataclass(frozen=True)
class Ask:
    """A model that Inspect is to ask: the one under test, or a judge."""

    model: str
    """As the backend calls it: a base model, a fine-tune, or one of its checkpoints."""
    account: Account | None = None
    """By which a provider is asked."""


@dataclass(frozen=True)
class Request:
    """A prompt for a model that this machine serves."""

    messages: list[dict[str, str]]
    max_tokens: int
    temperature: float
    seed: int
    """Of this answer alone: the same prompt asked again draws another one."""


@dataclass(frozen=True)
class Reply:
    """The answer to a Request."""

    text: str
    input_tokens: int
    output_tokens: int
    finished: bool
    """Whether the model ended its turn, rather than being cut at max_tokens."""


class Answerer(Protocol):
    """A model that this machine serves, its weights loaded."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply a request, in order."""
        ...


def patience(account: Account) -> int:
    """Seconds that one try of a sample waits for an answer: all its tries together
    have the account's `request_seconds`."""
    return max(1, account.request_seconds // (1 + TRIES))
