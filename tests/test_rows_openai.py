"""Rows for OpenAI: each rule, by file, line and words; and what it does take."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.openai.rows import RULES
from motools_build.data.rows.checks import check_file, read_rows
from motools_build.errors import DatasetError
from tests.conftest import Project, Ran
from tests.packages import installed

USER = {"role": "user", "content": "hi"}
HO = {"role": "assistant", "content": "ho"}
GOOD = {"messages": [USER, HO]}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "add", "arguments": '{"a": 1}'},
}
CALLS = {"role": "assistant", "tool_calls": [CALL]}
ANSWER = {"role": "tool", "tool_call_id": "c1", "content": "2"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def says(content: Any, **more: Any) -> dict[str, Any]:
    return chat(USER, {"role": "assistant", "content": content, **more})


def calls(*calls: Any, **more: Any) -> dict[str, Any]:
    return chat(USER, {"role": "assistant", "tool_calls": list(calls)}, **more)


def pair(
    prompt: Any = (USER,), better: Any = (HO,), worse: Any = None, **more: Any
) -> dict[str, Any]:
    return {
        "input": {"messages": list(prompt), **more},
        "preferred_output": list(better),
        "non_preferred_output": worse or [{"role": "assistant", "content": "no"}],
    }


def written(tmp_path: Path, *rows: Any, good: Any = GOOD) -> Path:
    """A row that is fine, those given, and as many again that OpenAI needs."""
    path = tmp_path / "d.jsonl"
    lines = [
        row if isinstance(row, str) else json.dumps(row)
        for row in (good, *rows, *[good] * 10)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def refused(path: Path, format: str, said: str) -> None:
    problems = check_file(path, format, RULES)
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}:2: ")
    assert said in problems[0]
    with pytest.raises(DatasetError) as caught:
        read_rows(path, None, format, RULES)
    assert str(caught.value) == problems[0]


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        chat(HO),
        chat({"role": "system", "content": "s"}, USER, HO, USER, HO),
        chat({**USER, "name": "ann"}, HO),
        chat(USER, {**HO, "weight": 0}, USER, {**HO, "weight": 1}),
        says([{"type": "text", "text": "ho"}, {"type": "text", "text": "ho"}]),
        chat(USER, CALLS, tools=[TOOL], parallel_tool_calls=False),
        chat(USER, {**CALLS, "content": None}, tools=[TOOL]),
        chat(USER, {**CALLS, "content": ""}, ANSWER, HO, tools=[TOOL]),
        chat(USER, CALLS, ANSWER, HO, USER, CALLS, ANSWER, HO),
        calls(CALL, {**CALL, "id": "c2"}),
        says(None, refusal="I will not"),
        chat(
            USER,
            {"role": "assistant", "function_call": CALL["function"]},
            {"role": "function", "name": "add", "content": "2"},
            HO,
            functions=[TOOL["function"]],
        ),
        says("a < b | c > d, <|what|>"),
        says("\U0001f600"),
    ],
)
def test_what_openai_takes(tmp_path: Path, row: Any) -> None:
    assert check_file(written(tmp_path, row), "sft", RULES) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('"text"', "a row is a JSON object, not a string"),
        ({}, 'no "messages"'),
        ({**GOOD, "id": 7}, "a row has 'id', which OpenAI does not know"),
        ({**GOOD, "tool": []}, "did you mean 'tools'?"),
        (chat("hi", HO), "messages[0] is a string, not an object"),
        # roles
        (
            chat({"role": "developer", "content": "x"}, HO),
            '.role is "developer"; it is one of assistant, function, system, tool, '
            'user: write "system"',
        ),
        (chat({"role": ["user"], "content": "x"}, HO), 'messages[0].role is ["user"]'),
        (chat(USER, HO, USER), "the last message is by 'user'; it must be the assis"),
        (chat(USER, CALLS, ANSWER), "the last message is by 'tool'"),
        # keys and names
        (chat({**USER, "nmae": "x"}, HO), "messages[0] has 'nmae', which OpenAI does"),
        (chat({**USER, "nmae": "x"}, HO), "did you mean 'name'?"),
        (chat({**USER, "name": ""}, HO), 'messages[0].name is ""; leave it out'),
        (chat({**USER, "name": None}, HO), "messages[0].name is null; leave it out"),
        (chat({**USER, "tool_calls": []}, HO), ".tool_calls: only assistant messages"),
        (chat({**USER, "tool_call_id": "1"}, HO), ".tool_call_id: only tool messages"),
        (chat({"role": "function", "content": "2"}, HO), "[0].name is missing"),
        # weights
        (chat({**USER, "weight": 1}, HO), "weight: only assistant messages have one"),
        (says("x", weight=0.5), "messages[1].weight is 0.5, not 0 or 1"),
        (says("x", weight=1.0), "messages[1].weight is 1.0, not 0 or 1"),
        (says("x", weight=True), "messages[1].weight is true, not 0 or 1"),
        (says("x", weight=None), "messages[1].weight is null, not 0 or 1"),
        (says("x", weight=0), "no assistant message to learn from"),
        # contents
        (chat({"role": "user", "content": ""}, HO), "messages[0].content is empty"),
        (says(""), "messages[1].content is empty"),
        (says(None), "messages[1].content is null or missing"),
        (says(5), "messages[1].content is a number, not a string or a list"),
        (says([]), "messages[1].content is an empty list"),
        (says(["x"]), "content[0] is a string, not an object"),
        (says([{"type": "text"}]), "content[0].text is null; it is a string"),
        (says([{"type": "text", "text": ""}]), 'content[0].text is ""; it is a str'),
        (says([{"type": "text", "text": "x", "n": 1}]), "a text part has 'n', which"),
        (says([{"type": "audio"}]), 'content[0].type is "audio"; only "text" can be'),
        (chat({"role": "user", "content": [IMAGE]}, HO), "(vision) is not supported"),
        (says(5, tool_calls=[CALL]), "content is a number, not a string or a list"),
        (says(0, tool_calls=[CALL]), "content is a number, not a string or a list"),
        (says(None, refusal=5), "messages[1].refusal is a number, not a string"),
        # what is no text
        (says("a<|endoftext|>b"), "messages[1].content has the special token <|endof"),
        (says("<|im_start|>user"), "the special token <|im_start|>, which OpenAI"),
        (
            '{"messages": [{"role": "assistant", "content": "\\u003c|im_end|>"}]}',
            "messages[0].content has the special token <|im_end|>",
        ),
        (
            says([{"type": "text", "text": "<|fim_prefix|>"}]),
            "messages[1].content[0].text has the special token",
        ),
        (says("\ud83d"), "messages[1].content has \\ud83d, half of a character"),
        # tools
        ({**GOOD, "tools": {}}, "tools is an object, not a list"),
        ({**GOOD, "tools": ["x"]}, "tools[0] is a string, not an object"),
        ({**GOOD, "tools": [TOOL["function"]]}, "tools[0]: a tool has 'name', which"),
        ({**GOOD, "tools": [{"type": "x"}]}, 'tools[0].type is "x"; it is "function"'),
        ({**GOOD, "tools": [{"type": "function"}]}, "tools[0].function is null or m"),
        (
            {**GOOD, "tools": [{"type": "function", "function": {"name": "a b"}}]},
            'tools[0].function.name is "a b"; it is 1 to 64 letters',
        ),
        (
            {**GOOD, "functions": [{"name": "f", "parameters": "{}"}]},
            "functions[0].parameters is a string; it is a JSON schema, an object",
        ),
        ({**GOOD, "functions": [{"nme": "f"}]}, "functions[0]: a function has 'nme'"),
        ({**GOOD, "parallel_tool_calls": 1}, "parallel_tool_calls is a number, not tr"),
        # calls
        (says("x", tool_calls=None), "tool_calls is null or missing; it is a list"),
        (says("x", tool_calls=[]), "tool_calls is an empty list; it is a list of"),
        (calls("add"), "tool_calls[0] is a string, not an object"),
        (calls({**CALL, "idx": 0}), "tool_calls[0]: a call has 'idx', which OpenAI"),
        (calls({**CALL, "id": ""}), 'tool_calls[0].id is ""; each call has an id'),
        (calls(CALL, CALL), "tool_calls[1].id is 'c1' once more"),
        (calls({**CALL, "type": "tool"}), 'tool_calls[0].type is "tool"; it is "func'),
        (calls({**CALL, "function": None}), "tool_calls[0].function is null or miss"),
        (
            calls({**CALL, "function": {"name": "", "arguments": ""}}),
            'tool_calls[0].function.name is ""; it is the function\'s name',
        ),
        (
            calls({**CALL, "function": {"name": "add", "arguments": {"a": 1}}}),
            "function.arguments is an object; it is JSON, written as a string",
        ),
        (
            calls({**CALL, "function": {**CALL["function"], "x": 1}}),  # type: ignore[dict-item]
            "a called function has 'x', which OpenAI does not know",
        ),
        (
            calls({**CALL, "function": {"name": "ad", "arguments": ""}}, tools=[TOOL]),
            "function.name: tools has no 'ad'; did you mean 'add'?",
        ),
        (
            says(None, function_call={"name": "f"}),
            "messages[1].function_call.arguments is null or missing",
        ),
        # answers to calls
        (
            chat(USER, CALLS, {"role": "tool", "content": "2"}, HO),
            "messages[2].tool_call_id is null or missing; it names the call it",
        ),
        (
            chat(USER, CALLS, {**ANSWER, "tool_call_id": "c9"}, HO),
            "messages[2].tool_call_id is 'c9', which answers no open call",
        ),
        (chat(USER, ANSWER, HO), "messages[1].tool_call_id is 'c1', which answers no"),
        (
            chat(USER, CALLS, ANSWER, ANSWER, HO),
            "messages[3].tool_call_id is 'c1', which answers no open call",
        ),
        (
            chat(USER, CALLS, USER, HO),
            "messages[2]: no tool message answers the call 'c1' before it",
        ),
        (chat(USER, CALLS, {**ANSWER, "content": ""}, HO), "messages[2].content is e"),
    ],
)
def test_what_openai_refuses(tmp_path: Path, row: Any, said: str) -> None:
    refused(written(tmp_path, row), "sft", said)


@pytest.mark.parametrize(
    "row",
    [
        pair(),
        pair(tools=[], parallel_tool_calls=True),
        pair([USER, CALLS, ANSWER], tools=[TOOL]),
        pair(better=[CALLS], tools=[TOOL]),
        pair([{**USER, "name": "ann"}, {**HO, "weight": 0}, USER]),
        pair(
            better=[{"role": "assistant", "content": [{"type": "text", "text": "y"}]}]
        ),
    ],
)
def test_the_pairs_that_openai_takes(tmp_path: Path, row: Any) -> None:
    assert check_file(written(tmp_path, row, good=pair()), "dpo", RULES) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (GOOD, '"input" is null or missing; a row is {"input": {"messages": [...]}'),
        ({**pair(), "id": 1}, "a row has 'id', which OpenAI does not know"),
        (pair(functions=[]), "input has 'functions', which OpenAI does not know"),
        (pair(tools={}), "input.tools is an object, not a list"),
        (pair([]), 'no "input.messages"'),
        (pair([{"role": "user", "content": ""}]), "input.messages[0].content is empty"),
        (pair([USER, CALLS]), "input.messages: no tool message answers the call 'c1'"),
        (pair(better=[HO, HO]), "preferred_output has 2 messages; it is one assista"),
        (pair(better=[]), "preferred_output has 0 messages"),
        (pair(worse=[USER]), 'non_preferred_output[0].role is "user"; an answer is by'),
        (pair(worse=["no"]), "non_preferred_output[0] is a string, not an object"),
        (pair(worse=HO), '"non_preferred_output" is an object; a row is'),
        (pair(better=[{**HO, "weight": 1}]), "preferred_output[0].weight: an answer"),
        (pair(better=[{**HO, "content": ""}]), "preferred_output[0].content is empty"),
        (pair(better=[CALLS], tools=[]), "function.name: tools has no 'add'"),
        (pair(worse=[HO]), "both outputs are the same, nothing to prefer"),
        (pair(better=[{**HO, "content": "<|im_end|>"}]), "preferred_output[0].content"),
    ],
)
def test_the_pairs_that_openai_refuses(tmp_path: Path, row: Any, said: str) -> None:
    refused(written(tmp_path, row, good=pair()), "dpo", said)


@pytest.mark.parametrize(("rows", "said"), [(1, "1 row; "), (9, "9 rows; ")])
def test_openai_needs_ten_rows(tmp_path: Path, rows: int, said: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text((json.dumps(GOOD) + "\n") * rows)
    (problem,) = check_file(path, "sft", RULES)
    assert problem == f"{path}: {said}OpenAI needs at least 10: add some"
    with pytest.raises(DatasetError, match="OpenAI needs at least 10"):
        read_rows(path, rules=RULES)
    assert check_file(path) == []  # of other backends it is enough


def test_a_file_too_large_for_openai_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    largest = 512 * 1024 * 1024
    with open(path, "wb") as file:
        file.truncate(largest + 1)  # takes no room; read, it would be no JSON
    (problem,) = check_file(path, "sft", RULES)
    assert problem.startswith(f"{path}: 536,870,913 bytes; OpenAI takes files of at m")
    assert problem.endswith("536,870,912: split it, or take a part of it")


def test_too_few_rows_are_told_along_with_wrong_ones(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text("{}\n" * 3)
    problems = check_file(path, "sft", RULES)
    assert len(problems) == 4
    assert "3 rows; OpenAI needs" in problems[3]


STRICT = """
from dataclasses import dataclass

from motools_build.backends.openai.facts import OpenAIFacts

@dataclass(frozen=True)
class Strict(OpenAIFacts):
    pass

BACKEND = Strict(
    name="strict",
    effects="motools_build.backends.dummy.backend:DummyBackend",
    methods=("sft", "dpo"),
)
"""


@dataclass
class Strict(Project):
    """A setting on a backend with OpenAI's rules, and one on the dummy backend."""

    def doit(self, *args: str, code: int | None = 0, **environ: str) -> Ran:
        path = installed(self.root / "installed", "strict", STRICT, strict="BACKEND")
        return super().doit(*args, code=code, **{"PYTHONPATH": path, **environ})


@pytest.fixture
def strict(project: Project) -> Strict:
    models = '["strict/gpt-3.5-turbo-0125", "strict/gpt-4.1-2025-04-14"]'
    project.setting("d", models=models)
    project.setting("free", datasets='[Dataset("datasets/d.jsonl")]')
    return Strict(project.root)


def test_the_backends_rules_apply_before_a_run(strict: Strict) -> None:
    strict.dataset("d", rows=9)
    for _ in range(2):  # the second time from memory
        ran = strict.doit("run", "d", code=3)
        assert ran.err.count("d.jsonl: 9 rows; OpenAI needs at least 10") == 1
        assert "nothing was run" in ran.err
    strict.doit("run", "free")


def test_a_models_limit_applies_before_a_run(strict: Strict) -> None:
    file = strict.dataset("d", rows=12)
    long = json.dumps(chat(USER, {**HO, "content": " word" * 20_000}))
    file.write_text(file.read_text() + long + "\n")
    ran = strict.doit("run", "d", code=3)
    assert "d.jsonl:13: about 20,0" in ran.err
    assert "tokens; gpt-3.5-turbo-0125 learns from at most 16,385" in ran.err
    assert "gpt-4.1" not in ran.err


def test_the_format_follows_the_method_of_training(strict: Strict) -> None:
    strict.dataset("d", rows=12)
    setting = strict.root / "zoo/d.py"
    text = setting.read_text()
    setting.write_text(
        text.replace("    seeds=", '    training=Training(method="dpo"),\n    seeds=')
    )
    ran = strict.doit("run", "d", code=3)
    assert 'd.jsonl:1: "input" is null or missing; a row is {"input"' in ran.err
