"""The turns of a row: helpers for transforms that change chats and pairs.

They raise ValueError for a row that lacks what they need; `step.each` turns it into an
error that names the row's file and line.
"""

from __future__ import annotations

from typing import Any

from motools_build.data.rows.checks import GENERAL, Row
from motools_build.data.rows.tool_chats import (
    tool_chat_problem,
    tool_preference_problem,
)

Message = dict[str, Any]


def messages_of(row: Row) -> list[Message]:
    """The turns of a chat, or of a pair's prompt. Raises ValueError."""
    asked = row.get("input")
    messages = row.get("messages") or (isinstance(asked, dict) and asked["messages"])
    if not isinstance(messages, list) or not messages:
        raise ValueError('no "messages"; .as_chat() makes chats of other rows')
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise ValueError(f"messages[{index}] is no object")
    return messages


def saying(row: Row, messages: list[Message]) -> Row:
    """A copy of the row with `messages` as its turns."""
    if "messages" in row:
        return {**row, "messages": messages}
    return {**row, "input": {**row["input"], "messages": messages}}


def broken(row: Row) -> str | None:
    """The problem of a row that looks like a chat or a pair of answers, if it is valid
    by neither the general rules nor OpenAI's; None for rows of other shapes."""
    if "messages" in row:
        problem = GENERAL.checks["sft"](row)
        return problem and tool_chat_problem(row) and problem
    if "preferred_output" in row:
        problem = GENERAL.checks["dpo"](row)
        return problem and tool_preference_problem(row) and problem
    return None
