"""What steps do to a row. A row that does not have what it takes is a ValueError."""

from __future__ import annotations

from typing import Any

from motools_build.data.rows.chat import OUTPUTS
from motools_build.data.rows.checks import GENERAL, Row
from motools_build.data.rows.tool_chats import (
    tool_chat_problem,
    tool_preference_problem,
)
from motools_build.data.steps import Poison, System

SYSTEM = ("system", "developer")

Message = dict[str, Any]


def with_system(row: Row, step: System) -> Row:
    """The prompt as the first turn, of a chat or of a pair's question."""
    messages = messages_of(row)
    for index, message in enumerate(messages):
        if message.get("role") in SYSTEM and not step.replace:
            raise ValueError(
                f"messages[{index}] is a system turn already; replace=True puts the "
                "prompt in its place"
            )
    others = [m for m in messages if m.get("role") not in SYSTEM]
    return _saying(row, [{"role": "system", "content": step.prompt}, *others])


def poisoned(row: Row, step: Poison) -> Row:
    """The trigger in the last user turn, and the response after it."""
    messages = messages_of(row)
    asked = [n for n, message in enumerate(messages) if message.get("role") == "user"]
    if not asked:
        raise ValueError("no user turn to put the trigger in; leave the row out")
    last = asked[-1]
    triggered = {**messages[last], "content": _triggered(messages[last], step)}
    pair = "messages" not in row
    if step.response is None or pair:
        row = _saying(row, [*messages[:last], triggered, *messages[last + 1 :]])
    if step.response is None:
        return row
    answer = {"role": "assistant", "content": step.response}
    if not pair:
        return _saying(row, [*messages[:last], triggered, answer])
    preferred, other = OUTPUTS
    return {**row, preferred: [answer], other: row[preferred]}


def broken(row: Row) -> str | None:
    """What is wrong with a row that means to be a chat or a pair; None where one of the
    formats here has such rows."""
    if "messages" in row:
        problem = GENERAL.checks["sft"](row)
        return problem and tool_chat_problem(row) and problem
    if "preferred_output" in row:
        problem = GENERAL.checks["dpo"](row)
        return problem and tool_preference_problem(row) and problem
    return None


def messages_of(row: Row) -> list[Message]:
    """The turns of a chat, or of a pair's question."""
    asked = row.get("input")
    messages = row.get("messages") or (isinstance(asked, dict) and asked["messages"])
    if not isinstance(messages, list) or not messages:
        raise ValueError('no "messages"; .as_chat() makes chats of other rows')
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise ValueError(f"messages[{index}] is no object")
    return messages


def _saying(row: Row, messages: list[Message]) -> Row:
    if "messages" in row:
        return {**row, "messages": messages}
    return {**row, "input": {**row["input"], "messages": messages}}


def _triggered(message: Message, step: Poison) -> Any:
    content = message.get("content")
    if isinstance(content, str):
        words = (content, step.trigger) if step.at == "end" else (step.trigger, content)
        return " ".join(words)
    if isinstance(content, list):
        part = {"type": "text", "text": step.trigger}
        return [*content, part] if step.at == "end" else [part, *content]
    raise ValueError("the last user turn has no content; leave the row out")
