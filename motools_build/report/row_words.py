"""What differs within a row: its fields, and the words of their texts."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

WORDS = re.compile(r"\s+|\w+|[^\w\s]")

MOST_WORDS = 4_000
"""Largest number of words of a text that are compared one by one; of a longer one only
the beginning and the end that are equal are told apart."""

Piece = tuple[str, str]
"""`=`, `-` or `+`, and a text that both have, or that is gone, or that has come."""


@dataclass(frozen=True)
class Field:
    """A field of a row that differs."""

    path: str
    """`messages[1].content`; empty for a row that is no JSON object."""
    role: str
    """The role of the message that it is in; empty outside of messages."""
    old: Any
    """None if it was not there."""
    new: Any
    """None if it is not there now."""

    @property
    def pieces(self) -> list[Piece]:
        """The difference of the two texts, word by word."""
        return word_diff(as_text(self.old), as_text(self.new))

    def as_json(self) -> dict[str, Any]:
        return {"field": self.path, "role": self.role, "old": self.old, "new": self.new}


def parsed(row: bytes) -> Any:
    """The JSON object of a row, or its text if it is none."""
    try:
        found = json.loads(row)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else row.decode(errors="replace")


def fields(old: bytes, new: bytes) -> list[Field]:
    """The fields in which two rows differ. None for rows of the same values that are
    written otherwise, such as with other spaces."""
    first, second = parsed(old), parsed(new)
    if isinstance(first, str) or isinstance(second, str):
        texts = (old.decode(errors="replace"), new.decode(errors="replace"))
        return [Field("", "", *texts)] if texts[0] != texts[1] else []
    was, now = dict(_leaves(first, "")), dict(_leaves(second, ""))
    paths = [*now, *(path for path in was if path not in now)]
    return [
        Field(
            path,
            _role(path, second) or _role(path, first),
            was.get(path),
            now.get(path),
        )
        for path in paths
        if path not in was or path not in now or not _equal(was[path], now[path])
    ]


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON, where true is not 1."""
    return type(one) is type(other) and bool(one == other)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    else:
        yield path, value


def _role(path: str, row: Any) -> str:
    """The role of the message that a path is in; empty if it is in none."""
    match = re.match(r"messages\[(\d+)\]", path)
    try:
        role = row["messages"][int(match[1])]["role"] if match else ""
    except (KeyError, IndexError, TypeError):
        return ""
    return role if isinstance(role, str) else ""


def as_text(value: Any) -> str:
    """A value as text: JSON, except for a text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def word_diff(old: str, new: str) -> list[Piece]:
    """The pieces that make the old text (all but `+`) and the new one (all but `-`)."""
    a, b = WORDS.findall(old), WORDS.findall(new)
    begin = 0
    while begin < min(len(a), len(b)) and a[begin] == b[begin]:
        begin += 1
    ends = 0
    while ends < min(len(a), len(b)) - begin and a[-1 - ends] == b[-1 - ends]:
        ends += 1
    inner_a, inner_b = a[begin : len(a) - ends], b[begin : len(b) - ends]
    pieces = [("=", "".join(a[:begin])), *_joined([*_between(inner_a, inner_b)])]
    pieces.append(("=", "".join(a[len(a) - ends :])))
    return [piece for piece in pieces if piece[1]]


def _joined(pieces: list[Piece]) -> Iterator[Piece]:
    """The pieces, with changes that only spaces or signs part as one: a phrase that was
    replaced reads better as a whole."""
    old = new = ""
    for number, (mark, text) in enumerate(pieces):
        is_inner = 0 < number < len(pieces) - 1
        if mark == "-":
            old += text
        elif mark == "+":
            new += text
        elif is_inner and (old or new) and not re.search(r"\w", text):
            old, new = old + text, new + text
        else:
            yield from (("-", old), ("+", new), ("=", text))
            old = new = ""
    yield from (("-", old), ("+", new))


def _between(a: list[str], b: list[str]) -> Iterator[Piece]:
    if max(len(a), len(b)) > MOST_WORDS:
        yield "-", "".join(a)
        yield "+", "".join(b)
        return
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    for word, i, i_end, j, j_end in matcher.get_opcodes():
        if word == "equal":
            yield "=", "".join(a[i:i_end])
        else:
            yield "-", "".join(a[i:i_end])
            yield "+", "".join(b[j:j_end])
