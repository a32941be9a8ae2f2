"""Tokens of a dataset, counted on this machine by the encodings of OpenAI's models.

For OpenAI's models, plain chats are counted exactly, as in OpenAI's cookbook. Tools and
calls are counted as JSON, an estimate: OpenAI turns them into a text that it does not
document. For other models a count shows only the order of magnitude.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from motools_build.data.rows.chat import OUTPUTS
from motools_build.data.rows.checks import Row, Rules, check_lines
from motools_build.errors import DatasetError

PER_MESSAGE = 3
PER_NAME = 1
PER_EXAMPLE = 3
"""Tokens that open the answer of each example: `<|start|>assistant<|message|>`."""

Count = Callable[[str], int]


class Tokens(TypedDict):
    """Token counts of a dataset; a plain dict, so that a memo can keep it."""

    rows: int
    total: int
    """Tokens of the whole file, which is what one epoch is billed for."""
    trained: int
    """Tokens of assistant messages that the loss is on; for "dpo", of both answers."""
    longest: int
    """Tokens of the longest example; for "dpo", of a prompt with its longer answer."""


def count_tokens(path: str | Path, format: str, encoding: str, rules: Rules) -> Tokens:
    """Count the tokens of a dataset by an encoding (`o200k_base`).

    Raises DatasetError for the first row that breaks the rules.
    """
    count = _counter(encoding)
    tokens = Tokens(rows=0, total=0, trained=0, longest=0)
    with open(path, "rb") as file:
        for number, row, problem in check_lines(file, format, rules):
            if row is None:
                raise DatasetError(f"{path}:{number}: {problem}")
            total, trained, longest = _example(row, format, count)
            tokens["rows"] += 1
            tokens["total"] += total
            tokens["trained"] += trained
            tokens["longest"] = max(tokens["longest"], longest)
    return tokens


def check_limit(
    path: str | Path, format: str, encoding: str, rules: Rules, limit: int, model: str
) -> Iterator[str]:
    """Yield a problem for each row with more than `limit` tokens, the most that `model`
    learns from in one example.

    Rows and files that are wrong in another way are left to the validator.
    """
    if rules.largest is not None and os.stat(path).st_size > rules.largest:
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            # Skip short lines without counting. A token is at least one byte, and the
            # JSON around a message is longer than the tokens that the message adds.
            # Half the limit is safe even where the counted JSON is longer than the
            # row's, as it can be with numbers.
            if len(line) <= limit // 2:
                continue
            for _, row, _ in check_lines([line], format, rules):
                if row is None:
                    continue
                longest = _example(row, format, _counter(encoding))[2]
                if longest > limit:
                    yield (
                        f"{path}:{number}: about {longest:,} tokens; {model} learns "
                        f"from at most {limit:,} an example, and {rules.whose} would "
                        "cut off the rest: shorten it, or split it"
                    )


@cache
def _counter(encoding: str) -> Count:
    # imported here because it takes a second, and most commands count no tokens
    with warnings.catch_warnings():
        # the import opens its tables in a deprecated way
        warnings.simplefilter("ignore", DeprecationWarning)
        from bpe_openai._bindings import tokenizer_for_encoding

    count: Count = tokenizer_for_encoding(encoding).count
    return count


def _example(row: Row, format: str, count: Count) -> tuple[int, int, int]:
    """Tokens of a row: all, those with a loss on them, and those of its longest example
    (for "dpo", the prompt with the longer answer)."""
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
    """Tokens of a message: of its frame (role, name), and of its content and calls."""
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
