"""Which encoding counts the tokens of an OpenAI model, and how many an example has."""

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
"""By the beginning of a model's name; the longest that fits."""

LIMITS = {
    "gpt-3.5-turbo": 16_385,
    "gpt-4o": 65_536,
    "gpt-4.1": 65_536,
}
"""Tokens of one example, likewise."""


def encoding_of(model: str) -> str:
    """`o200k_base` or `cl100k_base`; the former for a model that is not known."""
    return _by_prefix(ENCODINGS, model) or "o200k_base"


def token_limit(model: str) -> int | None:
    """Tokens that one example may have, or None if that is not known."""
    return _by_prefix(LIMITS, model)


def _by_prefix(table: Mapping[str, T], model: str) -> T | None:
    base = model.removeprefix("ft:")
    fits = [prefix for prefix in table if base.startswith(prefix)]
    return table[max(fits, key=len)] if fits else None
