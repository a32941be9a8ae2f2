"""The rows of a dataset's file: one validator a format, for all backends.

Formats: "sft" rows are chats, "dpo" rows a prompt and two answers. Rules: "general"
is what every backend needs; "openai" is what OpenAI takes for fine-tuning.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from motools_build.data.rows.chat import chat_problem, preference_problem
from motools_build.data.rows.lines import not_text, other_file, unread
from motools_build.data.rows.openai import openai_chat, openai_preference
from motools_build.errors import DatasetError

SHOWN = 20
"""Problems listed in one error; the rest are counted."""

MINIMUM = {"general": 1, "openai": 10}
"""Rows that a file has at least."""

LARGEST = {"openai": 512 * 1024 * 1024}
"""Bytes that a file has at most."""

Row = dict[str, Any]

CHECKS: dict[tuple[str, str], Callable[[Any], str | None]] = {
    ("sft", "general"): chat_problem,
    ("dpo", "general"): preference_problem,
    ("sft", "openai"): openai_chat,
    ("dpo", "openai"): openai_preference,
}
"""Format and rules -> what is wrong with a row, or None."""


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON; leave it out, or write null")


DECODER = json.JSONDecoder(parse_constant=_constant)


def read_rows(
    path: str | Path,
    data: bytes | None = None,
    format: str = "sft",
    rules: str = "general",
) -> list[Row]:
    """The rows of a JSONL file, or of its bytes where the caller has them.

    Raises DatasetError with every problem found, each with file and line.
    """
    if data is None:
        data = Path(path).read_bytes()
    rows: list[Row] = []
    problems = _size_problem(path, len(data), rules)
    for number, row, problem in check_lines(data.split(b"\n"), format, rules):
        if problem:
            problems.append(f"{path}:{number}: {problem}")
        elif row is not None:
            rows.append(row)
    if not problems:
        problems = _count_problem(path, len(rows), format, rules)
    if problems:
        raise DatasetError(listed(problems))
    return rows


def check_file(
    path: str | Path, format: str = "sft", rules: str = "general"
) -> list[str]:
    """The problems of a JSONL file, each with file and line; at most SHOWN + 1 are
    kept, and the file is read line by line, unless it is too large to be read."""
    problems = _size_problem(path, os.stat(path).st_size, rules)
    if problems:
        return problems
    rows = 0
    with open(path, "rb") as file:
        for number, _, problem in check_lines(file, format, rules):
            rows += 1
            if problem:
                problems.append(f"{path}:{number}: {problem}")
                if len(problems) > SHOWN:
                    return problems
    return problems + _count_problem(path, rows, format, rules)


def check_lines(
    lines: Iterable[bytes], format: str = "sft", rules: str = "general"
) -> Iterator[tuple[int, Row | None, str | None]]:
    """Line number, row and problem of each line that is not blank.

    Lines end at a newline byte only: U+2028 inside a string is no line end in JSON.
    """
    check = CHECKS[format, rules]
    special = rules == "openai"
    for number, line, row, problem in parsed(lines):
        if problem is None:
            problem = check(row)
        # only an escape can hide half a character, and only "<|" opens a token
        if problem is None and (b"\\u" in line or (special and b"<|" in line)):
            problem = not_text(row, special)
        yield number, None if problem else row, problem


def parsed(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes, Any, str | None]]:
    """Line number, bytes, JSON value and problem of each line that is not blank. Of a
    file that its first line shows to be no JSONL at all, that line alone."""
    first = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if number == 1 and not text.strip():
                continue
            row = DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            other = other_file(line) if first else None
            yield number, line, None, other or unread(line, error)
            if other:
                return
        else:
            yield number, line, row, None
        first = False


def listed(problems: list[str]) -> str:
    """Problems as one message, at most SHOWN of them."""
    shown = problems[:SHOWN]
    if len(problems) > SHOWN:
        shown.append("... and more")
    return "\n".join(shown)


def _size_problem(path: str | Path, size: int, rules: str) -> list[str]:
    largest = LARGEST.get(rules, size)
    if size <= largest:
        return []
    return [
        f"{path}: {size:,} bytes; OpenAI takes files of at most {largest:,}: "
        "split it, or take a part of it"
    ]


def _count_problem(path: str | Path, rows: int, format: str, rules: str) -> list[str]:
    if not rows:
        holds = "one chat" if format == "sft" else "one pair of answers"
        return [f"{path}: no rows; each line holds {holds} as JSON"]
    if rows < MINIMUM[rules]:
        had = "1 row" if rows == 1 else f"{rows} rows"
        return [f"{path}: {had}; OpenAI needs at least {MINIMUM[rules]}: add some"]
    return []
