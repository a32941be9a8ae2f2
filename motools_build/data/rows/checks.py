"""The rows of a dataset's file, checked line by line by the rules of a backend.

Formats: "sft" rows are chats; "dpo" rows are a prompt and two answers. GENERAL has the
rules that every backend needs. A backend that accepts more or less has its own Rules.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motools_build.data.rows.chat import chat_problem, preference_problem
from motools_build.data.rows.lines import not_text, other_file, unread
from motools_build.errors import DatasetError

SHOWN = 20
"""The most problems that one error lists; if there are more, it says so."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """The rules of a backend for the rows of a file that it trains on."""

    name: str
    """Under this name a memo remembers that a file is valid. It must change whenever
    the rules allow more or less."""

    checks: Mapping[str, Callable[[Any], str | None]]
    """Format -> function that returns the problem of a row, or None."""

    whose: str = ""
    """Whose rules they are, for messages: "OpenAI"."""

    minimum: int = 1
    """The fewest rows that a file may have."""

    largest: int | None = None
    """The largest file, in bytes; None for no limit."""

    special: re.Pattern[str] | None = None
    """Special tokens that are refused inside of a text. Each begins with `<|`; None
    refuses none."""


GENERAL = Rules("general", {"sft": chat_problem, "dpo": preference_problem})


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON; leave it out, or write null")


DECODER = json.JSONDecoder(parse_constant=_constant)


def read_rows(
    path: str | Path,
    data: bytes | None = None,
    format: str = "sft",
    rules: Rules = GENERAL,
) -> list[Row]:
    """The rows of a JSONL file, or of `data`, its bytes, if the caller has read them.

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
    path: str | Path, format: str = "sft", rules: Rules = GENERAL
) -> list[str]:
    """The first problems (at most SHOWN + 1) of a JSONL file, each with file and line.
    The file is read line by line; a file above the rules' size limit is not read."""
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
    lines: Iterable[bytes], format: str = "sft", rules: Rules = GENERAL
) -> Iterator[tuple[int, Row | None, str | None]]:
    """Yield line number, row and problem of each line that is not blank; either the row
    or the problem is None.

    Lines end at a newline byte only: U+2028 inside a string is no line end in JSON.
    """
    check, special = rules.checks[format], rules.special
    for number, line, row, problem in parsed(lines):
        if problem is None:
            problem = check(row)
        # a lone surrogate needs a `\u` escape, and a special token needs "<|"
        if problem is None and (b"\\u" in line or (special and b"<|" in line)):
            problem = not_text(row, special, rules.whose)
        yield number, None if problem else row, problem


def parsed(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes, Any, str | None]]:
    """Yield line number, bytes, JSON value and problem of each line that is not blank.
    If the first line shows that the file is no JSONL, yields only that line."""
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


def values(lines: Iterable[bytes], place: str | Path) -> Iterator[tuple[int, Any]]:
    """Yield line number and JSON value of each line that is not blank. Raises
    DatasetError, with `place` and the line, for the first that is not JSON."""
    for number, _, value, problem in parsed(lines):
        if problem:
            raise DatasetError(f"{place}:{number}: {problem}")
        yield number, value


def listed(problems: list[str]) -> str:
    """One message that lists several problems, at most SHOWN of them."""
    shown = problems[:SHOWN]
    if len(problems) > SHOWN:
        shown.append("... and more")
    return "\n".join(shown)


def _size_problem(path: str | Path, size: int, rules: Rules) -> list[str]:
    if rules.largest is None or size <= rules.largest:
        return []
    return [
        f"{path}: {size:,} bytes; {rules.whose} takes files of at most "
        f"{rules.largest:,}: "
        "split it, or take a part of it"
    ]


def _count_problem(path: str | Path, rows: int, format: str, rules: Rules) -> list[str]:
    if not rows:
        holds = "one chat" if format == "sft" else "one pair of answers"
        return [f"{path}: no rows; each line holds {holds} as JSON"]
    if rows < rules.minimum:
        had = "1 row" if rows == 1 else f"{rows} rows"
        needed = f"{rules.whose} needs at least {rules.minimum}"
        return [f"{path}: {had}; {needed}: add some"]
    return []
