"""Judges whose tokenizers split numbers: what is read is the exact distribution, and
where it cannot be read, that is an error."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_ai.model import GenerateConfig, Model, ModelOutput, get_model

from motools_build.evals.digits import LEAST, Reading, may_be_digits, read
from motools_build.evals.judgement import PROBE, WHOLE
from motools_build.evals.judges import judge
from motools_build.evals.verdicts import Tokens, Verdict
from motools_build.serving import models
from tests.zoo.mock import QUIET, echo, likely, metrics, model, run, said
from tests.zoo.split import PROMPT, Split
from tests.zoo.test_judges import task

pytestmark = QUIET


def reading(split: Split, spaces: bool = True) -> Reading:
    lengths = []

    async def look(begun: str, length: int) -> Tokens:
        lengths.append((begun, length))
        return split.tokens(begun)

    found = asyncio.run(read(split.tokens(""), look, spaces))
    assert isinstance(found, Reading)
    assert found.looks == len(lengths)
    assert all(len(begun) == length for begun, length in lengths)
    return found


@settings(deadline=None)
@given(st.integers(0, 10**9), st.floats(0.1, 5), st.sampled_from([0.0, 0.1, 3.0]))
def test_what_is_read_is_the_exact_distribution(
    seed: int, sharp: float, blank: float
) -> None:
    split = Split(seed, sharp, blank)
    found, exact = reading(split), split.exact()
    space = split.after("")[" "]
    if space >= LEAST:
        for number, p in split.exact(" ").items():
            exact[number] += space * p
    for number, p in found.numbers.items():
        assert p <= exact[number] + 1e-12
    missing = math.fsum(exact.values()) - math.fsum(found.numbers.values())
    assert -1e-9 <= missing <= found.left_out + 1e-9
    firsts = [p for t, p in split.tokens("") if t.isdigit()]
    if space < LEAST:
        assert found.left_out >= space
        assert found.looks <= 11
    if space < LEAST and min(firsts) >= LEAST:
        for number in range(10):
            assert found.numbers[number] == pytest.approx(exact[number])


def test_every_number_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 101, if nothing is too unlikely to be followed."""
    monkeypatch.setattr("motools_build.evals.digits.LEAST", 0.0)
    split = Split(3, 1.0)
    exact = split.exact()
    for number, p in split.exact(" ").items():
        exact[number] += split.after("")[" "] * p
    found = reading(split)
    assert sorted(found.numbers) == list(range(101))
    assert found.numbers == pytest.approx(exact, abs=1e-15)
    twice = split.after("")[" "] * split.after(" ")[" "]
    assert found.left_out == pytest.approx(twice)


def test_white_space_is_not_followed_where_a_template_may_take_it_off() -> None:
    split = Split(1, 2.0, 0.5)
    found = reading(split, spaces=False)
    assert found.left_out >= split.after("")[" "]
    exact = split.exact()
    assert all(p <= exact[number] + 1e-12 for number, p in found.numbers.items())


def asked_for(table: dict[str, dict[str, float]]) -> tuple[Reading, list[str]]:
    asked = []

    async def look(begun: str, length: int) -> Tokens:
        asked.append(begun)
        return list(table[begun].items())

    found = asyncio.run(read(list(table[""].items()), look, True))
    assert isinstance(found, Reading)
    return found, asked


def test_a_whole_number_after_white_space_is_read_as_it_is() -> None:
    found, asked = asked_for({"": {"\n": 1.0}, "\n": {"87": 0.6, "8": 0.1, "the": 0.3}})
    assert found.numbers == pytest.approx({87: 0.6, 8: 0.1})
    assert asked == ["\n"]


def test_only_a_digit_that_touches_the_first_continues_it() -> None:
    after = {"7": 0.5, " 7": 0.2, "7.": 0.1, "77": 0.05, ".": 0.15}
    found, _ = asked_for({"": {"8": 1.0}, "8": after})
    assert found.numbers == pytest.approx({87: 0.6, 8: 0.35})


def test_no_number_begins_with_0() -> None:
    found, asked = asked_for({"": {"0": 1.0}, "0": {"5": 0.4, "<|end|>": 0.6}})
    assert found.numbers == pytest.approx({0: 0.6})
    assert asked == ["0"]


def test_a_look_that_is_refused_is_the_verdict() -> None:
    async def look(begun: str, length: int) -> Verdict:
        return Verdict("refused")

    found = asyncio.run(read([("8", 1.0)], look, True))
    assert found == Verdict("refused")


@pytest.mark.parametrize(
    ("tokens", "spaces", "expected"),
    [
        ({"8": 0.9, "9": 0.1}, False, True),
        ({"8": 0.9, "87": 1e-9}, False, False),
        ({"8": 0.9, " 100": 1e-9}, False, False),
        ({"8": 0.2, "I": 0.8}, False, False),
        ({"I": 1.0}, True, False),
        ({" ": 0.9, "8": 0.1}, False, False),
        ({" ": 0.9, "8": 0.1}, True, True),
        ({"8": 0.9, "<0x35>": 0.1}, False, True),
        ({"8": 0.9, "<|10|>": 0.1}, False, True),
    ],
)
def test_when_digits_may_be_split(
    tokens: dict[str, float], spaces: bool, expected: bool
) -> None:
    assert may_be_digits(list(tokens.items()), 0.25, spaces) == expected


def on_this_machine(split: Any, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The judge as a model of the backend `local`, its answerer aside."""
    monkeypatch.setattr(models, "_answerer", lambda *_: split)
    monkeypatch.setattr(models, "QUIET", 0.001)
    return get_model("motools/judge", memoize=False, kind="local")


def judged_by(grader: Model, folder: Path, *prompts: str) -> Any:
    return run(
        task(judge("{answer}"), *prompts or ("x",)),
        folder,
        echo(),
        model_roles={"grader": grader},
    )


def test_a_judge_of_this_machine_is_read_digit_by_digit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = Split(5, 1.0, 0.0)
    log = judged_by(on_this_machine(split, monkeypatch), tmp_path)
    expected = reading(split).numbers
    mass = math.fsum(expected.values())
    mean = math.fsum(n * p for n, p in expected.items()) / mass
    assert metrics(log)["score"]["mean"] == pytest.approx(mean)
    assert mean > 10
    verdict = log.samples[0].scores["judge"].metadata["verdicts"]["score"]
    assert verdict["outcome"] == "scored"
    assert verdict["mass"] == pytest.approx(mass)
    assert verdict["looks"] == len(split.asked) - 1 <= 11
    assert verdict["left_out"] == pytest.approx(reading(split).left_out)
    assert "digit by digit" in log.samples[0].scores["judge"].explanation


class Anew(Split):
    """Begins another answer instead of continuing its own."""

    def answer(self, requests: Any) -> Any:
        anew = [replace(r, messages=r.messages[:1]) for r in requests]
        longer = [len(r.messages) > 1 for r in requests]
        return [
            replace(reply, input_tokens=reply.input_tokens + 5 * long)
            for reply, long in zip(super().answer(anew), longer, strict=True)
        ]


def test_an_answer_that_is_not_continued_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = said(judged_by(on_this_machine(Anew(5, 1.0), monkeypatch), tmp_path))
    assert "did not continue" in told
    assert "has 12 tokens of input, and not 1 more than the 7" in told
    assert "local/... or vllm/..." in told


def hosted(
    first: dict[str, float], probed: dict[str, float]
) -> tuple[Model, list[str]]:
    """A judge of a provider that does not continue answers."""
    asked = []

    def answer(prompt: str) -> ModelOutput:
        asked.append(prompt)
        return likely(probed if "57" in prompt else first)

    return model(answer), asked


def test_a_hosted_judge_that_splits_is_refused(tmp_path: Path) -> None:
    grader, asked = hosted({"8": 0.9, "9": 0.1}, {"5": 0.99, "I": 0.01})
    told = said(judged_by(grader, tmp_path, "a", "b", "c"))
    assert "answered 8, which may be the first digit" in told
    assert "the role 'grader' a judge whose numbers are one token each" in told
    assert len([prompt for prompt in asked if "57" in prompt]) == 1


def test_a_hosted_judge_that_is_sure_of_a_small_number(tmp_path: Path) -> None:
    """It is asked once whether it has whole numbers, for all samples together."""
    grader, asked = hosted({"5": 0.9, "4": 0.1}, {"57": 0.99, "5": 0.01})
    log = judged_by(grader, tmp_path, "a", "b", "c")
    assert metrics(log)["score"]["mean"] == pytest.approx(4.9)
    assert sorted(asked)[1:] == ["a", "b", "c"]


def test_a_judge_of_whole_numbers_is_asked_once(tmp_path: Path) -> None:
    grader, asked = hosted({"5": 0.9, "40": 0.1}, {})
    log = judged_by(grader, tmp_path, "a", "b")
    assert metrics(log)["score"]["mean"] == pytest.approx(8.5)
    assert sorted(asked) == ["a", "b"]


def test_a_judge_that_thinks_is_told_how_not_to(tmp_path: Path) -> None:
    grader, _ = hosted({"<think>": 0.99, "8": 0.01}, {})
    told = said(judged_by(grader, tmp_path))
    assert "thinks before it answers" in told
    assert "enable_thinking" in told


class VLLM:
    """A stand-in for vLLM's chat completions over `Split`. `continues` is False for a
    server that ignores the field which vLLM continues an answer by."""

    def __init__(self, split: Split, continues: bool = True) -> None:
        self.split, self.continues = split, continues
        self.asked: list[dict[str, Any]] = []

    def answered(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        last = body["messages"][-1]
        begun = last["content"] if last["role"] == "assistant" else ""
        length = PROMPT + len(begun)
        if begun and not (self.continues and body["continue_final_message"]):
            begun, length = "", length + 5
        assert (body["max_tokens"], body["temperature"]) == (1, 0)
        tops = [
            {"token": token, "logprob": math.log(p or 1e-99), "bytes": None}
            for token, p in self.split.tokens(begun)[: body["top_logprobs"]]
        ]
        message = {"role": "assistant", "content": tops[0]["token"]}
        return {
            "id": "c-1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "finish_reason": "length",
                    "logprobs": {"content": [{**tops[0], "top_logprobs": tops}]},
                }
            ],
            "usage": {
                "prompt_tokens": length,
                "completion_tokens": 1,
                "total_tokens": length + 1,
                "prompt_tokens_details": {"cached_tokens": min(3, len(begun))},
            },
        }


NUMBERS = itertools.count()


@contextmanager
def listening(server: VLLM) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            self._send(server.answered(json.loads(self.rfile.read(length))))

        def do_GET(self) -> None:
            self._send({"object": "list", "data": [{"id": "qwen", "object": "model"}]})

        def _send(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    there = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=there.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{there.server_port}/v1"
    there.shutdown()
    there.server_close()


def at(url: str, model: str, **args: Any) -> Model:
    """A model of a server. Inspect keeps the server of each vLLM model, by its name."""
    return get_model(
        model,
        memoize=False,
        base_url=url,
        api_key="x",
        config=GenerateConfig(max_retries=0),
        **args,
    )


@pytest.mark.parametrize("extra", [None, {"chat_template_kwargs": {"thinks": False}}])
def test_a_judge_at_vllm_is_read_digit_by_digit(
    tmp_path: Path, extra: dict[str, Any] | None
) -> None:
    """Inspect's own provider, over HTTP; each request has its own fields only."""
    server = VLLM(Split(5, 1.0, 0.0))
    with listening(server) as url:
        log = run(
            task(judge("{answer}", extra_body=extra), "x", "y"),
            tmp_path,
            echo(),
            model_roles={"grader": at(url, f"vllm/qwen{next(NUMBERS)}")},
        )
    expected = reading(server.split, spaces=False).numbers
    mean = math.fsum(n * p for n, p in expected.items()) / sum(expected.values())
    assert metrics(log)["score"]["mean"] == pytest.approx(mean)
    firsts = [body for body in server.asked if len(body["messages"]) == 1]
    assert len(firsts) == 2
    assert not any("continue_final_message" in body for body in firsts)
    fields = [body.get("chat_template_kwargs") for body in server.asked]
    assert fields == [(extra or {}).get("chat_template_kwargs")] * len(fields)


def test_a_server_that_does_not_continue_is_an_error(tmp_path: Path) -> None:
    server = VLLM(Split(5, 1.0, 0.0), continues=False)
    with listening(server) as url:
        told = said(judged_by(at(url, f"vllm/qwen{next(NUMBERS)}"), tmp_path))
    assert "did not continue" in told


def test_openais_models_are_asked_once_and_no_others_by_their_name(
    tmp_path: Path,
) -> None:
    """What is sure of a number below 10 is nothing to ask again for, if the name says
    that numbers are whole."""
    server = VLLM(Split(5, 1.0, 0.0))
    with listening(server) as url:
        known = at(url, "openai/gpt-4.1-2025-04-14", responses_api=False)
        unknown = at(url, "openai-api/lab/gpt-4.1-2025-04-14")
        judged_by(known, tmp_path / "known", "a", "b")
        assert len(server.asked) == 2
        server.asked.clear()
        told = said(judged_by(unknown, tmp_path / "unknown", "a"))
    assert "seems to split numbers into digits" in told
    asked = [body["messages"][0]["content"] for body in server.asked]
    assert asked == ["a", PROBE]


def test_openais_encodings_have_whole_numbers() -> None:
    """The claim of `WHOLE`, for the two that a package has on this machine."""
    from motools_build.data.tokens import _counter

    for name in ("cl100k_base", "o200k_base"):
        assert name in WHOLE
        assert {_counter(name)(str(number)) for number in range(1000)} == {1}
