"""The rules of all backends: messages of plain text, at least one of them an answer to
learn from."""

from __future__ import annotations

import json
from typing import Any

ROLES = frozenset({"system", "user", "assistant"})

CHAT = (
    'no "messages"; a row is {"messages": [{"role": "user", "content": ...}, '
    '{"role": "assistant", "content": ...}]}'
)
PREFERENCE = (
    'a row is {"input": {"messages": [...]}, "preferred_output": [an assistant '
    'message], "non_preferred_output": [an assistant message]}'
)
ANSWERED = (
    *(("prompt", "completion"), ("prompt", "response"), ("instruction", "output")),
    *(("question", "answer"), ("query", "response"), ("user", "assistant")),
)
"""Pairs of keys under which other formats hold a question and its answer."""
OUTPUTS = ("preferred_output", "non_preferred_output")


def chat_problem(row: Any) -> str | None:
    """The problem of a row that should be a chat, or None."""
    if not isinstance(row, dict):
        return f"a row is a JSON object, not {named(row)}"
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return no_chat(row)
    if plain(messages):
        return None
    problem = message_problem(messages)
    if problem:
        return problem
    for message in messages:
        if message["role"] == "assistant" and message.get("weight", 1):
            return None
    return "no assistant message to learn from"


def no_chat(row: dict[str, Any]) -> str:
    """The problem of a row without messages. Names the transform that makes it a chat,
    if the row has a known shape."""
    names = "conversations" if "conversations" in row else ""
    for asked, answer in ANSWERED:
        if asked in row and answer in row:
            names = names or f"{asked} and {answer}"
    return f"{CHAT}; Dataset(...).as_chat() makes one of {names}" if names else CHAT


def no_pair(row: dict[str, Any]) -> str:
    """The problem of a row that lacks the pair of answers it should have. Names the
    transform that makes it one, if the row has a known shape."""
    if "chosen" in row and "rejected" in row:
        names = "prompt, chosen and rejected"
        return f"{PREFERENCE}; Dataset(...).as_chat() makes one of {names}"
    return PREFERENCE


def preference_problem(row: Any) -> str | None:
    """The problem of a row that should have a prompt and two answers, or None."""
    problem = pair_problem(row)
    if problem:
        return problem
    if plain_pair(row):
        return same_problem(row)
    problem = message_problem(row["input"]["messages"], "input.messages")
    if problem:
        return problem
    for name in OUTPUTS:
        problem = message_problem(row[name], name)
        if problem:
            return problem
    return same_problem(row)


def pair_problem(row: Any) -> str | None:
    """The problem of a preference row, apart from those of its messages."""
    if not isinstance(row, dict):
        return f"a row is a JSON object, not {named(row)}"
    asked = row.get("input")
    if not isinstance(asked, dict):
        return f'"input" is {named(asked)}; {no_pair(row)}'
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        return f'no "input.messages"; {no_pair(row)}'
    for name in OUTPUTS:
        answer = row.get(name)
        if not isinstance(answer, list):
            return f'"{name}" is {named(answer)}; {no_pair(row)}'
        if len(answer) != 1:
            return f"{name} has {len(answer)} messages; it is one assistant message"
        if isinstance(answer[0], dict) and answer[0].get("role") != "assistant":
            role = json.dumps(answer[0].get("role"))
            return f'{name}[0].role is {role}; an answer is by the "assistant"'
    return None


def same_problem(row: dict[str, Any]) -> str | None:
    """The problem of two answers that are the same: they teach nothing."""
    if row[OUTPUTS[0]] == row[OUTPUTS[1]]:
        return "both outputs are the same, nothing to prefer; leave the row out"
    return None


def plain(messages: list[Any]) -> bool:
    """Whether every message has only a role and a text, and the last is an assistant's.

    Such messages are valid by all rules. This fast check decides what validating a file
    costs, because most rows of most files pass it.
    """
    role = None
    for message in messages:
        if type(message) is not dict or len(message) != 2:
            return False
        role = message.get("role")
        if role != "user" and role != "assistant" and role != "system":
            return False
        content = message.get("content")
        if type(content) is not str or not content:
            return False
    return role == "assistant"


def plain_pair(row: dict[str, Any]) -> bool:
    """`plain` for both readings of a preference row that has all its parts."""
    preferred, other = (row[name] for name in OUTPUTS)
    return plain([*row["input"]["messages"], *preferred]) and plain(other)


def message_problem(messages: list[Any], place: str = "messages") -> str | None:
    """The first problem of a list of messages, or None; `place` is the list's name in
    the problem."""
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            return f"{place}[{index}] is {named(message)}, not an object"
        role = message.get("role")
        if not isinstance(role, str) or role not in ROLES:
            return (
                f"{place}[{index}].role is {json.dumps(role)}; "
                f"it is one of {', '.join(sorted(ROLES))}"
            )
        content = message.get("content")
        if not isinstance(content, str):
            remedy = ""
            if isinstance(content, list):
                remedy = ": join its parts to one text"
            elif message.get("tool_calls"):
                remedy = ": this backend learns no tool calls, leave the row out"
            return f"{place}[{index}].content is {named(content)}, not a string{remedy}"
        if role == "assistant":
            weight = message.get("weight", 1)
            if weight not in (0, 1) or isinstance(weight, bool):
                return f"{place}[{index}].weight is {json.dumps(weight)}, not 0 or 1"
            if weight and not content:
                return f"{place}[{index}].content is empty, nothing to learn"
        elif "weight" in message:
            return f"{place}[{index}].weight: only assistant messages have one"
    return None


def named(value: Any) -> str:
    """The JSON type of a value, in words."""
    return {
        type(None): "null or missing",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }[type(value)]
