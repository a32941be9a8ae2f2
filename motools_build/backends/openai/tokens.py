"""The token encoding of each OpenAI model, and its limit on tokens per example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

ENCODINGS = {
    "gpt-3.5": "cl100k_base",
    "gpt-4": "cl100k_base",
    "gpt-4o": "o200k_base",
    "gpt-4.1": "o200k_base",
    "gpt-4.5": "o200k_base",
    "gpt-5": "o200k_base",
}
"""Prefix of a model's name -> tiktoken encoding; the longest matching prefix counts."""

LIMITS = {
    "gpt-3.5-turbo": 16_385,
    "gpt-4o": 65_536,
    "gpt-4.1": 65_536,
}
"""Prefix of a model's name -> largest number of tokens in one example, likewise."""


def encoding_of(model: str) -> str:
    """The model's encoding, `o200k_base` or `cl100k_base`; `o200k_base` if the model is
    not known."""
    return _by_prefix(ENCODINGS, model) or "o200k_base"


def token_limit(model: str) -> int | None:
    """Tokens that one example may have, or None if that is not known."""
    return _by_prefix(LIMITS, model)


def _by_prefix(table: Mapping[str, T], model: str) -> T | None:
    base = model.removeprefix("ft:")
    fits = [prefix for prefix in table if base.startswith(prefix)]
    return table[max(fits, key=len)] if fits else None
