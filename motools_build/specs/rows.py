"""What a row of a chat dataset must be; one validator for all backends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from motools_build.errors import DatasetError

ROLES = frozenset({"system", "user", "assistant"})
SHOWN = 20
"""Problems listed in one error; the rest are counted."""

Row = dict[str, Any]


def read_rows(path: str | Path, data: bytes | None = None) -> list[Row]:
    """The rows of a JSONL file, or of its bytes where the caller has them.

    Raises DatasetError with every problem found, each with file and line.
    """
    if data is None:
        data = Path(path).read_bytes()
    rows: list[Row] = []
    problems: list[str] = []
    for number, row, problem in check_lines(data.split(b"\n")):
        if problem:
            problems.append(f"{path}:{number}: {problem}")
        elif row is not None:
            rows.append(row)
    if not rows and not problems:
        problems.append(f"{path}: no rows; each line holds one chat as JSON")
    if problems:
        raise DatasetError(listed(problems))
    return rows


def check_file(path: str | Path) -> list[str]:
    """The problems of a JSONL file, each with file and line; at most SHOWN + 1 are
    kept, and the file is read line by line."""
    problems: list[str] = []
    rows = 0
    with open(path, "rb") as file:
        for number, _, problem in check_lines(file):
            rows += 1
            if problem:
                problems.append(f"{path}:{number}: {problem}")
                if len(problems) > SHOWN:
                    break
    return problems if rows else [f"{path}: no rows; each line holds one chat as JSON"]


def check_lines(
    lines: Iterable[bytes],
) -> Iterator[tuple[int, Row | None, str | None]]:
    """Line number, row and problem of each line that is not blank.

    Lines end at a newline byte only: U+2028 inside a string is no line end in JSON.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            yield number, None, f"not UTF-8 ({error.reason} at byte {error.start})"
        except (ValueError, RecursionError) as error:
            yield number, None, f"not JSON ({error}): {_excerpt(line)}"
        else:
            problem = _problem(row)
            yield number, None if problem else row, problem


def _problem(row: Any) -> str | None:
    """What is wrong with a row, or None."""
    if not isinstance(row, dict):
        return f"a row is a JSON object, not {_name(row)}"
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return (
            'no "messages"; a row is {"messages": [{"role": "user", "content": ...}, '
            '{"role": "assistant", "content": ...}]}'
        )
    trained = False
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            return f"messages[{index}] is {_name(message)}, not an object"
        role = message.get("role")
        if not isinstance(role, str) or role not in ROLES:
            return (
                f"messages[{index}].role is {json.dumps(role)}; "
                f"it is one of {', '.join(sorted(ROLES))}"
            )
        content = message.get("content")
        if not isinstance(content, str):
            return f"messages[{index}].content is {_name(content)}, not a string"
        if role == "assistant":
            weight = message.get("weight", 1)
            if weight not in (0, 1) or isinstance(weight, bool):
                return f"messages[{index}].weight is {json.dumps(weight)}, not 0 or 1"
            if weight:
                if not content:
                    return f"messages[{index}].content is empty, nothing to learn"
                trained = True
        elif "weight" in message:
            return f"messages[{index}].weight: only assistant messages have one"
    if not trained:
        return "no assistant message to learn from"
    return None


def listed(problems: list[str]) -> str:
    """Problems as one message, at most SHOWN of them."""
    shown = problems[:SHOWN]
    if len(problems) > SHOWN:
        shown.append("... and more")
    return "\n".join(shown)


def _name(value: Any) -> str:
    return {
        type(None): "null or missing",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }[type(value)]


def _excerpt(line: bytes) -> str:
    text = line[:60].decode("utf-8", "replace").strip()
    return repr(text + ("..." if len(line) > 60 else ""))
