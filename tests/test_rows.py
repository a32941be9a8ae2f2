"""Rows of chat datasets: all problems at once, each with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from motools_build.errors import DatasetError
from motools_build.specs.rows import check_file, read_rows

USER = {"role": "user", "content": "hi"}
GOOD = {"messages": [USER, {"role": "assistant", "content": "ho"}]}


def written(tmp_path: Path, *lines: Any) -> Path:
    path = tmp_path / "d.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return path


def chat(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{oops", "not JSON"),
        ('"text"', "a row is a JSON object, not a string"),
        ({"prompt": "x"}, 'no "messages"'),
        ({"messages": []}, 'no "messages"'),
        (chat("hi"), "messages[0] is a string, not an object"),
        (chat({"role": "bot", "content": "x"}), 'messages[0].role is "bot"; it is one'),
        (chat({"content": "x"}), "messages[0].role is null"),
        (chat({"role": [], "content": "x"}), "messages[0].role is []; it is one"),
        ("[" * 200_000, "not JSON"),
        (chat({"role": "user", "content": None}), "content is null or missing"),
        (chat({"role": "user", "content": [1]}), "content is a list, not a string"),
        (chat(USER), "no assistant message to learn from"),
        (
            chat(USER, {"role": "assistant", "content": "x", "weight": 0}),
            "no assistant message to learn from",
        ),
        (chat(USER, {"role": "assistant", "content": "", "weight": 1}), "is empty"),
        (
            chat(USER, {"role": "assistant", "content": "x", "weight": 0.5}),
            "weight is 0.5, not 0 or 1",
        ),
        (chat({**USER, "weight": 1}), "only assistant messages have one"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: Any, said: str) -> None:
    path = written(tmp_path, GOOD, row, GOOD)
    with pytest.raises(DatasetError) as caught:
        read_rows(path)
    assert f"{path}:2: " in str(caught.value)
    assert said in str(caught.value)
    assert check_file(path) == str(caught.value).splitlines()


def test_all_problems_are_told_at_once_and_at_most_twenty(tmp_path: Path) -> None:
    path = written(tmp_path, *["{"] * 30)
    with pytest.raises(DatasetError) as caught:
        read_rows(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[19].startswith(f"{path}:20: ")
    assert lines[20] == "... and more"


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_dataset_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(text)
    with pytest.raises(DatasetError, match="no rows"):
        read_rows(path)
    assert check_file(path)


def test_what_others_write_is_read(tmp_path: Path) -> None:
    inside = json.dumps(GOOD, ensure_ascii=False).replace("ho", "a\u2028b")
    path = tmp_path / "d.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n" + inside.encode()
    )
    assert len(read_rows(path)) == 2
    assert check_file(path) == []


def test_bytes_that_are_not_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"messages": "\xff"}\n')
    with pytest.raises(DatasetError, match=r"d\.jsonl:1: not UTF-8"):
        read_rows(path)
