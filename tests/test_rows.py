"""Rows of chat datasets: all problems at once, each with file and line."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motools_build.backends.openai.rows import RULES
from motools_build.data.rows.checks import GENERAL, check_file, check_lines, read_rows
from motools_build.errors import DatasetError

USER = {"role": "user", "content": "hi"}
HO = {"role": "assistant", "content": "ho"}
GOOD = {"messages": [USER, HO]}
PAIR = {
    "input": {"messages": [USER]},
    "preferred_output": [HO],
    "non_preferred_output": [{"role": "assistant", "content": "no"}],
}


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


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("[]", "a row is a JSON object, not a list"),
        (GOOD, '"input" is null or missing; a row is {"input": '),
        ({**PAIR, "input": {"messages": []}}, 'no "input.messages"; a row is {"input"'),
        ({**PAIR, "preferred_output": "ho"}, '"preferred_output" is a string; a row'),
        ({**PAIR, "preferred_output": []}, "preferred_output has 0 messages; it is o"),
        ({**PAIR, "preferred_output": [USER]}, 'preferred_output[0].role is "user"'),
        ({**PAIR, "preferred_output": ["ho"]}, "preferred_output[0] is a string, not"),
        (
            {**PAIR, "input": {"messages": [{"role": "tool", "content": "2"}]}},
            'input.messages[0].role is "tool"; it is one of assistant, system, user',
        ),
        (
            {**PAIR, "non_preferred_output": [{"role": "assistant", "content": ""}]},
            "non_preferred_output[0].content is empty",
        ),
        ({**PAIR, "non_preferred_output": [HO]}, "both outputs are the same"),
    ],
)
def test_a_wrong_pair_is_named(tmp_path: Path, row: Any, said: str) -> None:
    path = written(tmp_path, PAIR, row, PAIR)
    (problem,) = check_file(path, "dpo")
    assert problem.startswith(f"{path}:2: ")
    assert said in problem
    with pytest.raises(DatasetError) as caught:
        read_rows(path, format="dpo")
    assert str(caught.value) == problem


def test_pairs_are_read(tmp_path: Path) -> None:
    named = {**PAIR, "input": {"messages": [{**USER, "name": "ann"}]}, "id": 7}
    assert read_rows(written(tmp_path, PAIR, named), format="dpo") == [PAIR, named]


@pytest.mark.parametrize("row", [{**GOOD, "id": 7}, {"messages": [{**USER}, HO, USER]}])
def test_other_backends_are_lenient(tmp_path: Path, row: Any) -> None:
    assert check_file(written(tmp_path, row)) == []


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


LINE = json.dumps(GOOD).encode()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (LINE + b",\n" + LINE, 1, "; no comma goes between rows"),
        (b"[" + LINE + b",\n" + LINE + b"]", 1, "; no comma goes between rows"),
        (b"[\n" + LINE + b"\n]", 1, "; each row is one line, without a list around"),
        (b'{\n"messages": []}', 1, "; each row is one line"),
        (b"[" + LINE + b"]", 1, "a row is a JSON object, not a list"),
        (LINE[:-1] + b",}", 1, "; no comma goes before a closing bracket"),
        (LINE[:-2] + b", ]}", 1, "; no comma goes before a closing bracket"),
        (LINE + LINE, 1, "; a line holds one row and nothing else"),
        (LINE + b"\r" + LINE, 1, "; rows end with a newline, not with a carriage"),
        (LINE + b"\n\xef\xbb\xbf" + LINE, 2, "; it begins with a byte order mark"),
        ("\ufeff{}".encode("utf-16-le"), 1, "not JSON but UTF-16: save the file as"),
        (b"\x1f\x8b\x08\x00", 1, "not JSON but gzip: save the file as plain UTF-8"),
        (LINE + b"\n" + b"\xe9" + LINE, 2, "not UTF-8 (invalid continuation byte at"),
        (LINE + b"\n" + LINE[:40], 2, "; the row ends in its middle: the file was cut"),
        (LINE + b"\n" + LINE[:-2], 2, "; the row ends in its middle: the file was cut"),
        (POINTER, 1, "a Git LFS pointer, not the file that it stands for: `git lfs pu"),
        (b"PAR1\x15\x04\x15", 1, "not JSON but Parquet"),
        (b"prompt,completion\na,b\n", 1, "not JSON but a table of separated values"),
        (b"<!DOCTYPE html>\n<html>\n", 1, "not JSON but HTML or XML"),
        (LINE.replace(b'"ho"', b"NaN"), 1, "NaN is no number in JSON"),
        (LINE.replace(b"ho", b"\\ud83d"), 1, "has \\ud83d, half of a character"),
        (LINE.replace(b"ho", b"a\tb"), 1, "Invalid control character at"),
    ],
)
def test_a_line_that_is_no_row_has_a_remedy(
    tmp_path: Path, data: bytes, line: int, said: str
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(data)
    problem = check_file(path)[0]
    if data.startswith((b"version", b"PAR1", b"prompt,", b"<")):
        assert len(check_file(path)) == 1  # of the whole file, not of each line
    assert problem.startswith(f"{path}:{line}: ")
    assert said in problem
    assert len(problem) < 400


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf\r\n" + LINE,
        b" \t\n\n" + LINE + b"  \r\n\n",
        LINE.replace(b"ho", "a\u2028b\u2029c\x85".encode()),
        LINE.replace(b"ho", b"\\ud83d\\ude00"),
        LINE.replace(b"ho", b"x" * 30_000_000),
    ],
    ids=["mark and blank", "blank lines", "U+2028", "pair of halves", "30 MB"],
)
def test_an_odd_line_is_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(data)
    assert check_file(path) == []
    assert len(read_rows(path)) == 1


def test_a_long_line_that_is_wrong_is_told_briefly(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(LINE.replace(b"ho", b"x" * 1_000_000) + b"}")
    (problem,) = check_file(path)
    assert "a line holds one row" in problem
    assert len(problem) < 400


KEYS = (
    *("messages", "role", "content", "weight", "name", "tools", "tool_calls"),
    *("id", "type", "function", "arguments", "input", "preferred_output", "text"),
    *("system", "user", "assistant", "tool"),
)
WORDS = st.sampled_from(KEYS)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | WORDS | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(WORDS | st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@st.composite
def nearly_rows(draw: st.DrawFn) -> Any:
    """A row with tools, or a pair, of which one part is something else."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    chat = {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "2"},
            {"role": "assistant", "content": [{"type": "text", "text": "x"}]},
        ],
        "tools": [tool],
    }
    row = json.loads(json.dumps(draw(st.sampled_from([chat, PAIR]))))
    place: Any = row
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        deeper = isinstance(place[key], dict | list) and place[key]
        if not deeper or draw(st.booleans()):
            break
        place = place[key]
    place[key] = draw(ANYTHING)
    return row


@given(ANYTHING | nearly_rows())
def test_whatever_json_comes_is_taken_or_refused(row: Any) -> None:
    line = json.dumps(row).encode()
    both = itertools.product(("sft", "dpo"), (GENERAL, RULES))
    for format, rules in both:
        ((number, found, problem),) = check_lines([line], format, rules)
        assert number == 1
        assert (found is None) == bool(problem)
        assert problem or found == row


@given(st.binary(max_size=40))
def test_whatever_bytes_come_are_taken_or_refused(data: bytes) -> None:
    for _, found, problem in check_lines(data.split(b"\n")):
        assert found is None
        assert problem


def test_bytes_that_are_not_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"messages": "\xff"}\n')
    with pytest.raises(DatasetError, match=r"d\.jsonl:1: not UTF-8"):
        read_rows(path)
