"""Tokens, against OpenAI's own tokenizer and the counts its cookbook publishes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import example, given, settings
from hypothesis import strategies as st

from motools_build.backends.openai.facts import BACKEND
from motools_build.backends.openai.rows import RULES
from motools_build.backends.openai.tokens import encoding_of, token_limit
from motools_build.data.rows.checks import check_lines
from motools_build.errors import DatasetError
from motools_build.keys import Digest, DigestMemo
from tests.test_rows import nearly_rows

MINI = "gpt-4.1-mini-2025-04-14"

# the messages and the counts of OpenAI's "How to count tokens with tiktoken",
# which the API itself confirmed
JARGON = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates "
        "corporate jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on "
        "opportunities for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for "
        "the client deliverable.",
    },
]
OK = {"role": "assistant", "content": "ok"}
OK_TOKENS = 3 + 1 + 1


def written(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}, *messages], **more}


def one(tmp_path: Path, row: Any, format: str = "sft", model: str = MINI) -> Any:
    tokens = BACKEND.count_tokens(written(tmp_path, row), format, model)
    assert tokens["rows"] == 1
    return tokens


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("gpt-4o-mini-2024-07-18", 124),
        ("gpt-3.5-turbo-0125", 129),
        ("gpt-4-0613", 129),
        ("ft:gpt-3.5-turbo-0125:org::id", 129),
    ],
)
def test_the_cookbooks_counts(tmp_path: Path, model: str, count: int) -> None:
    tokens = one(tmp_path, {"messages": [*JARGON, OK]}, model=model)
    assert tokens == {
        "rows": 1,
        "total": count + OK_TOKENS,
        "trained": 1,
        "longest": count + OK_TOKENS,
    }


Counts = list[tuple[Callable[[str], int], tiktoken.Encoding]]


@pytest.fixture(scope="module")
def both() -> Counts:
    """Of each encoding the one in use, and tiktoken's over the same table: by itself
    tiktoken would fetch its tables from the network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from bpe_openai import registry
        from bpe_openai._bindings import tokenizer_for_encoding
    return [
        (
            tokenizer_for_encoding(name).count,
            tiktoken.Encoding(**getattr(registry, name)()),
        )
        for name in ("o200k_base", "cl100k_base")
    ]


@settings(deadline=None)
@given(text=st.text(), word=st.text("aAé1 '\n\t-語😀", max_size=60))
@example(text="<|endoftext|>", word="don't  stop\r\n\r\n 12345")
def test_counts_are_tiktokens(both: Counts, text: str, word: str) -> None:
    for count, theirs in both:
        for sample in (text, word, text + word):
            expected = theirs.encode(sample, disallowed_special=())
            assert count(sample) == len(expected)


def test_a_files_tokens_are_its_rows_tokens(tmp_path: Path) -> None:
    rows = [chat({"role": "assistant", "content": "word " * n}) for n in range(1, 12)]
    alone = [one(tmp_path, row) for row in rows]
    tokens = BACKEND.count_tokens(written(tmp_path, *rows), "sft", MINI)
    assert tokens["rows"] == 11
    assert tokens["total"] == sum(each["total"] for each in alone)
    assert tokens["trained"] == sum(each["trained"] for each in alone)
    assert tokens["longest"] == alone[-1]["total"]
    assert BACKEND.charged_tokens(tokens, 3) == 3 * tokens["total"]


def test_parts_of_text_are_their_text(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "to"}, {"type": "text", "text": "gether"}]
    split = one(tmp_path, chat({"role": "assistant", "content": parts}))
    assert split == one(tmp_path, chat({"role": "assistant", "content": "together"}))


def test_what_has_no_weight_is_billed_but_not_trained_on(tmp_path: Path) -> None:
    aside = {"role": "assistant", "content": "hm well"}
    on = one(tmp_path, chat(aside, OK))
    off = one(tmp_path, chat({**aside, "weight": 0}, OK))
    assert on["total"] == off["total"]
    assert on["trained"] == off["trained"] + 2


def test_tools_and_calls_are_counted(tmp_path: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    calls = {"role": "assistant", "content": None, "tool_calls": [call]}
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    plain = one(tmp_path, chat(calls))
    assert plain["trained"] > 0
    declared = one(tmp_path, chat(calls, tools=[tool]))
    assert declared["total"] > plain["total"]
    assert declared["trained"] == plain["trained"]


def test_a_pair_has_its_prompt_once_and_both_answers(tmp_path: Path) -> None:
    def pair(better: str, worse: str) -> dict[str, Any]:
        return {
            "input": {"messages": JARGON},
            "preferred_output": [{"role": "assistant", "content": better}],
            "non_preferred_output": [{"role": "assistant", "content": worse}],
        }

    tokens = one(tmp_path, pair("ok", "no no"), "dpo")
    assert tokens["total"] == 124 + OK_TOKENS + (OK_TOKENS + 1)
    assert tokens["longest"] == 124 + OK_TOKENS + 1
    assert tokens["trained"] == 3
    assert one(tmp_path, pair("no no", "ok"), "dpo") == tokens


def test_counts_can_be_remembered(tmp_path: Path) -> None:
    path = written(tmp_path, chat(OK))
    digest = Digest("0" * 32)
    memo = DigestMemo(tmp_path / "memo.json")
    counted = memo.note(
        "tokens", digest, lambda: BACKEND.count_tokens(path, "sft", MINI)
    )
    memo.save()
    path.unlink()  # so that it cannot be counted again
    again = DigestMemo(tmp_path / "memo.json")
    noted = again.note(
        "tokens", digest, lambda: BACKEND.count_tokens(path, "sft", MINI)
    )
    assert noted == counted
    assert BACKEND.charged_tokens(noted, 2) == 2 * counted["total"]


def test_a_wrong_row_is_not_counted(tmp_path: Path) -> None:
    path = written(tmp_path, chat(OK), {"prompt": "x"})
    with pytest.raises(DatasetError, match=r'd\.jsonl:2: no "messages"'):
        BACKEND.count_tokens(path, "sft", MINI)


@settings(deadline=None)
@given(row=nearly_rows())
def test_whatever_is_taken_can_be_counted(
    tmp_path_factory: pytest.TempPathFactory, row: Any
) -> None:
    path = written(tmp_path_factory.getbasetemp(), row)
    for format in ("sft", "dpo"):
        problem = next(check_lines([path.read_bytes()], format, RULES))[2]
        if problem:
            with pytest.raises(DatasetError):
                BACKEND.count_tokens(path, format, MINI)
        else:
            tokens = BACKEND.count_tokens(path, format, MINI)
            assert 0 < tokens["longest"] <= tokens["total"]
            # what lets check_limit pass over short lines
            assert tokens["total"] <= 2 * len(path.read_bytes())


@pytest.mark.parametrize(
    ("model", "encoding", "limit"),
    [
        ("gpt-4.1-2025-04-14", "o200k_base", 65_536),
        ("gpt-4.1-nano-2025-04-14", "o200k_base", 65_536),
        ("gpt-4o-mini-2024-07-18", "o200k_base", 65_536),
        ("gpt-3.5-turbo-0125", "cl100k_base", 16_385),
        ("gpt-4-0613", "cl100k_base", None),
        ("gpt-5-mini", "o200k_base", None),
        ("some-other-model", "o200k_base", None),
        ("ft:gpt-3.5-turbo-0125:org:suffix:id", "cl100k_base", 16_385),
    ],
)
def test_a_models_encoding_and_limit(
    model: str, encoding: str, limit: int | None
) -> None:
    assert encoding_of(model) == encoding
    assert token_limit(model) == limit


def test_a_row_over_the_limit_is_named(tmp_path: Path) -> None:
    turbo = "gpt-3.5-turbo-0125"
    around = one(tmp_path, chat(OK), model=turbo)["total"] - 1
    words = token_limit(turbo)
    assert words is not None

    def long(n: int) -> dict[str, Any]:
        return chat({"role": "assistant", "content": " word" * n})

    path = written(
        tmp_path, chat(OK), long(words - around), long(words - around + 1), "{" * 99_999
    )
    (problem,) = BACKEND.too_long(path, "sft", turbo)
    assert problem.startswith(f"{path}:3: about 16,386 tokens; {turbo} ")
    assert "at most 16,385 an example" in problem
    assert "shorten it" in problem
    assert list(BACKEND.too_long(path, "sft", MINI)) == []
    assert list(BACKEND.too_long(path, "sft", "gpt-unknown")) == []
