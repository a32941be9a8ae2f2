"""Tokens of a dataset, counted on this machine as OpenAI counts them for its bill.

Plain chats are counted exactly as in OpenAI's cookbook; tools and calls, which it
turns into a text that it does not document, are counted as JSON: an estimate.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from motools_build.data.rows.chat import OUTPUTS
from motools_build.data.rows.checks import LARGEST, Row, check_lines
from motools_build.errors import DatasetError

PER_MESSAGE = 3
PER_NAME = 1
PER_EXAMPLE = 3
"""Each answer begins with `<|start|>assistant<|message|>`."""

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

Count = Callable[[str], int]
T = TypeVar("T")


class Tokens(TypedDict):
    """What a dataset has in tokens; a plain dict, so that it can be remembered."""

    rows: int
    total: int
    """Of the whole file, once: what an epoch is billed for."""
    trained: int
    """Of the assistant's words that the loss is on; of both answers for "dpo"."""
    longest: int
    """Of the longest example; for "dpo", a prompt with the longer answer."""


def encoding_of(model: str) -> str:
    """`o200k_base` or `cl100k_base`; the former for a model that is not known."""
    return _by_prefix(ENCODINGS, model) or "o200k_base"


def token_limit(model: str) -> int | None:
    """Tokens that one example may have, or None if that is not known."""
    return _by_prefix(LIMITS, model)


def count_tokens(path: str | Path, format: str, model: str) -> Tokens:
    """The tokens of a dataset for a model, `gpt-4.1-mini-2025-04-14` or `ft:...`.

    Raises DatasetError for the first row that OpenAI would not take.
    """
    count = _counter(encoding_of(model))
    tokens = Tokens(rows=0, total=0, trained=0, longest=0)
    with open(path, "rb") as file:
        for number, row, problem in check_lines(file, format, "openai"):
            if row is None:
                raise DatasetError(f"{path}:{number}: {problem}")
            total, trained, longest = _example(row, format, count)
            tokens["rows"] += 1
            tokens["total"] += total
            tokens["trained"] += trained
            tokens["longest"] = max(tokens["longest"], longest)
    return tokens


def estimated_training_tokens(tokens: Tokens, epochs: int) -> int:
    """What OpenAI bills a training for: the file's tokens, once an epoch."""
    return tokens["total"] * epochs


def check_limit(path: str | Path, format: str, model: str) -> Iterator[str]:
    """A problem for each row with more tokens than the model takes in one example.

    Rows and files that are wrong in another way are left to the validator.
    """
    limit = token_limit(model)
    if limit is None or os.stat(path).st_size > LARGEST["openai"]:
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            # a token is at least a byte, and JSON around it makes up for what
            # each message adds; by half, for numbers that JSON writes shorter
            if len(line) <= limit // 2:
                continue
            for _, row, _ in check_lines([line], format, "openai"):
                if row is None:
                    continue
                longest = _example(row, format, _counter(encoding_of(model)))[2]
                if longest > limit:
                    yield (
                        f"{path}:{number}: about {longest:,} tokens; {model} learns "
                        f"from at most {limit:,} an example, and OpenAI would cut "
                        "off the rest: shorten it, or split it"
                    )


def _by_prefix(table: Mapping[str, T], model: str) -> T | None:
    base = model.removeprefix("ft:")
    fits = [prefix for prefix in table if base.startswith(prefix)]
    return table[max(fits, key=len)] if fits else None


@cache
def _counter(encoding: str) -> Count:
    # its import takes a second, which most commands do without
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how it opens its tables
        from bpe_openai._bindings import tokenizer_for_encoding

    count: Count = tokenizer_for_encoding(encoding).count
    return count


def _example(row: Row, format: str, count: Count) -> tuple[int, int, int]:
    """All tokens of a row, those trained on, and those of its longest reading."""
    if format == "sft":
        total = PER_EXAMPLE + _tools(row, count)
        trained = 0
        for message in row["messages"]:
            around, words = _message(message, count)
            total += around + words
            if message["role"] == "assistant" and message.get("weight", 1):
                trained += words
        return total, trained, total
    asked = row["input"]
    prompt = PER_EXAMPLE + _tools(asked, count)
    prompt += sum(sum(_message(message, count)) for message in asked["messages"])
    answers = [_message(row[name][0], count) for name in OUTPUTS]
    sizes = [around + words for around, words in answers]
    trained = sum(words for _, words in answers)
    return prompt + sum(sizes), trained, prompt + max(sizes)


def _message(message: dict[str, Any], count: Count) -> tuple[int, int]:
    """Tokens around what a message says, and of what it says."""
    around = PER_MESSAGE + _role(message["role"], count)
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    words = count(content) if content else 0
    if len(message) == 2:
        return around, words
    if message.get("name"):
        around += PER_NAME + count(message["name"])
    if message.get("refusal"):
        words += count(message["refusal"])
    calls = [call["function"] for call in message.get("tool_calls", [])]
    if message.get("function_call"):
        calls.append(message["function_call"])
    for call in calls:
        words += PER_MESSAGE + count(call["name"]) + count(call["arguments"])
    return around, words


@cache
def _role(role: str, count: Count) -> int:
    return count(role)


def _tools(row: dict[str, Any], count: Count) -> int:
    if len(row) == 1:
        return 0
    declared = [*row.get("tools", []), *row.get("functions", [])]
    if not declared:
        return 0
    return count(json.dumps(declared, ensure_ascii=False, separators=(",", ":")))
