"""Prompts for a teacher: the rows of a file, as chats without their last answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from motools_build.data.rows.chat import message_problem, named
from motools_build.data.rows.checks import SHOWN, listed, parsed
from motools_build.data.rows.lines import not_text
from motools_build.errors import DatasetError

Turns = list[dict[str, Any]]


def read_prompts(path: str, system: str | None = None) -> dict[int, Turns]:
    """Line number -> prompt: the turns of the row up to its last user turn. `system` is
    the system prompt that the teacher will get; a row may then have none of its own.

    Raises DatasetError with every problem, each with file and line.
    """
    found, problems = _looked_at(path, system)
    if problems:
        raise DatasetError(listed(problems))
    return found


def prompt_problems(path: str, system: str | None = None) -> list[str]:
    """The first problems (at most SHOWN + 1) of a file of prompts, each with file and
    line."""
    try:
        return _looked_at(path, system)[1][: SHOWN + 1]
    except OSError as error:
        return [f"{path}: cannot be read ({error})"]


def _looked_at(path: str, system: str | None) -> tuple[dict[int, Turns], list[str]]:
    """Line number -> prompt, and the problems of the other lines."""
    found: dict[int, Turns] = {}
    problems = []
    for number, turns, problem in _lines(path, system):
        if problem:
            problems.append(f"{path}:{number}: {problem}")
        else:
            found[number] = turns
    if not found and not problems:
        problems = [f"{path}: no prompts; each line holds one as JSON"]
    return found, problems


def _lines(path: str, system: str | None) -> Iterator[tuple[int, Turns, str | None]]:
    with open(path, "rb") as file:
        for number, line, row, problem in parsed(file):
            turns: Turns = []
            if problem is None:
                turns, problem = _asked(row, system)
            if problem is None and b"\\u" in line:
                problem = not_text({"messages": turns}, None, "")
            yield number, turns, problem


def _asked(row: Any, system: str | None) -> tuple[Turns, str | None]:
    """The turns of a row's prompt and None, or no turns and the row's problem."""
    if not isinstance(row, dict):
        return [], f"a row is a JSON object, not {named(row)}"
    messages = row.get("messages")
    if messages is None and isinstance(row.get("prompt"), str):
        messages = [{"role": "user", "content": row["prompt"]}]
    if not isinstance(messages, list) or not messages:
        return [], (
            'no prompt; a row is {"prompt": "..."} or {"messages": [{"role": "user", '
            '"content": ...}]}'
        )
    problem = message_problem(messages)
    if problem:
        return [], problem
    users = [n for n, message in enumerate(messages) if message["role"] == "user"]
    if not users:
        return [], "no user turn to answer"
    turns = messages[: users[-1] + 1]
    if not turns[-1]["content"].strip():
        return [], "the last user turn is empty, nothing to answer"
    if system and any(turn["role"] == "system" for turn in turns):
        return [], (
            "it has a system turn, and system= gives the teacher another; leave one of "
            "the two out"
        )
    return turns, None
