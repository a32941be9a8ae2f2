"""Chats with tools, and pairs of answers to them, in the format of OpenAI's API.

This is the widest format that a row can have here: OpenAI's fine-tuning accepts it, and
transforms pass it on. Source: OpenAI's guides on supervised fine-tuning and on
preferences, and the schema of a training row in OpenAI's OpenAPI document. The schema
has no developer messages, so they are refused: the models that can be fine-tuned take
them as system messages.
"""

from __future__ import annotations

import json
from typing import Any

from motools_build.data.rows.chat import (
    OUTPUTS,
    named,
    no_chat,
    pair_problem,
    plain,
    plain_pair,
    same_problem,
)
from motools_build.data.rows.tools import (
    call_problem,
    declared_problem,
    function_problem,
    unknown_key,
)
from motools_build.text.similar import known

ROLES = frozenset({"system", "user", "assistant", "tool", "function"})

ROW = frozenset({"messages", "tools", "parallel_tool_calls", "functions"})
PAIR = frozenset({"input", *OUTPUTS})
INPUT = frozenset({"messages", "tools", "parallel_tool_calls"})
ANYONES = frozenset({"role", "content", "name"})
MESSAGE = {
    "assistant": ANYONES | {"weight", "tool_calls", "refusal", "function_call"},
    "tool": ANYONES | {"tool_call_id"},
}
"""Role -> keys that its messages may have; roles not listed have ANYONES."""
ALL_KEYS = frozenset().union(*MESSAGE.values())


def tool_chat_problem(row: Any) -> str | None:
    """The problem of a chat, or None."""
    if not isinstance(row, dict):
        return f"a row is a JSON object, not {named(row)}"
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return no_chat(row)
    if len(row) == 1 and plain(messages):
        return None
    problem = _unknown(row, ROW) or declared_problem(row, "")
    if problem:
        return problem
    talk = _Talk(row)
    problem = talk.problem(messages, "messages")
    if problem:
        return problem
    if messages[-1]["role"] != "assistant":
        role = messages[-1]["role"]
        return f"the last message is by {role!r}; it must be the assistant's"
    if not talk.trained:
        return "no assistant message to learn from; all have weight 0"
    return None


def _unknown(row: dict[str, Any], keys: frozenset[str]) -> str | None:
    """The problem of a row with keys that OpenAI does not know, or None. Names the
    first, and how to drop them all."""
    problem = unknown_key(row, keys, "a row")
    if problem is None:
        return None
    others = [key for key in row if key not in keys]
    return f"{problem}; Dataset(...).as_chat(drop={others}) leaves it out"


def tool_preference_problem(row: Any) -> str | None:
    """The problem of a prompt and its two answers, or None."""
    problem = pair_problem(row)
    if problem:
        return problem
    asked = row["input"]
    if len(row) == len(PAIR) and len(asked) == 1 and plain_pair(row):
        return same_problem(row)
    problem = (
        _unknown(row, PAIR)
        or unknown_key(asked, INPUT, "input")
        or declared_problem(asked, "input.")
    )
    if problem:
        return problem
    talk = _Talk(asked)
    problem = talk.problem(asked["messages"], "input.messages")
    if problem:
        return problem
    if talk.open:
        return f"input.messages: no tool message answers the call {min(talk.open)!r}"
    for name in OUTPUTS:
        problem = _Talk(asked).problem(row[name], name)
        if problem:
            return problem
        if "weight" in row[name][0]:
            return f"{name}[0].weight: an answer to prefer has none; take it out"
    return same_problem(row)


class _Talk:
    """A chat, checked message by message. `open` holds the IDs of calls without an
    answer so far; `trained` says whether any message has a loss on it."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.trained = False
        self.open: set[str] = set()
        self._row = row

    def problem(self, messages: list[Any], place: str) -> str | None:
        for index, message in enumerate(messages):
            if not isinstance(message, dict):
                return f"{place}[{index}] is {named(message)}, not an object"
            problem = self._closely(message)
            if problem:
                return f"{place}[{index}]{problem}"
        return None

    def _closely(self, message: dict[str, Any]) -> str | None:
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or role not in ROLES:
            return _role(role)
        problem = _keys(message, role)
        if problem:
            return problem
        if role == "tool":
            problem = self._answered(message)
        elif self.open:
            return f": no tool message answers the call {min(self.open)!r} before it"
        elif role == "assistant":
            problem = self._called(message)
        if problem:
            return problem
        says_more = any(
            message.get(key) for key in ("tool_calls", "function_call", "refusal")
        )
        if role == "assistant" and says_more and not content:
            return None if content in (None, "") else _content(content)
        return _content(content)

    def _answered(self, message: dict[str, Any]) -> str | None:
        call = message.get("tool_call_id")
        if not isinstance(call, str):
            return f".tool_call_id is {named(call)}; it names the call it answers"
        if call not in self.open:
            return f".tool_call_id is {call!r}, which answers no open call"
        self.open.remove(call)
        return None

    def _called(self, message: dict[str, Any]) -> str | None:
        weight = message.get("weight", 1)
        if type(weight) is not int or weight not in (0, 1):
            return f".weight is {json.dumps(weight)}, not 0 or 1"
        self.trained = self.trained or weight == 1
        refusal = message.get("refusal")
        if refusal is not None and not isinstance(refusal, str):
            return f".refusal is {named(refusal)}, not a string"
        if message.get("function_call") is not None:
            problem = function_problem(message["function_call"], self._row, "functions")
            if problem:
                return f".function_call{problem}"
        if "tool_calls" not in message:
            return None
        calls = message["tool_calls"]
        if not isinstance(calls, list) or not calls:
            said = "an empty list" if calls == [] else named(calls)
            return f".tool_calls is {said}; it is a list of calls, or left out"
        for index, call in enumerate(calls):
            problem = call_problem(call, self._row)
            if problem:
                return f".tool_calls[{index}]{problem}"
            if call["id"] in self.open:
                return f".tool_calls[{index}].id is {call['id']!r} once more"
            self.open.add(call["id"])
        return None


def _role(role: Any) -> str:
    said = f".role is {json.dumps(role)}; it is one of {', '.join(sorted(ROLES))}"
    if role == "developer":
        return f'{said}: write "system"'
    return said


def _keys(message: dict[str, Any], role: str) -> str | None:
    """The problem of a message with a key that no message has, or none of its role; or
    with a wrong name."""
    keys = MESSAGE.get(role, ANYONES)
    for key in message:
        if key in keys:
            continue
        if key == "weight":
            return ".weight: only assistant messages have one"
        if key in ALL_KEYS:
            owner = next(owner for owner, has in MESSAGE.items() if key in has)
            return f".{key}: only {owner} messages have one"
        return f" has {key!r}, which OpenAI does not know; {known(key, keys)}"
    name = message.get("name")
    if "name" in message and (not isinstance(name, str) or not name):
        return f".name is {json.dumps(name)}; leave it out, or write a name"
    if role == "function" and name is None:
        return ".name is missing; it is the function that was called"
    return None


def _content(content: Any) -> str | None:
    """The problem of a content, which must be a text or a list of text parts; or
    None."""
    if isinstance(content, str):
        return (
            None if content else ".content is empty; write something, or leave it out"
        )
    if not isinstance(content, list):
        return f".content is {named(content)}, not a string or a list of text parts"
    if not content:
        return ".content is an empty list; it has one text part or more"
    for index, part in enumerate(content):
        where = f".content[{index}]"
        if not isinstance(part, dict):
            return f"{where} is {named(part)}, not an object"
        kind = part.get("type")
        if kind == "image_url":
            return (
                f"{where} is an image; training on images (vision) is not supported "
                "here: leave the row out"
            )
        if kind != "text":
            return f'{where}.type is {json.dumps(kind)}; only "text" can be trained on'
        problem = unknown_key(part, frozenset({"type", "text"}), "a text part")
        if problem:
            return f"{where}: {problem}"
        text = part.get("text")
        if not isinstance(text, str) or not text:
            return f"{where}.text is {json.dumps(text)}; it is a string with something"
    return None
