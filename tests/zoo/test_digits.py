"""Judges whose tokenizers split numbers: what is read is the exact distribution, and
where it cannot be read, that is an error."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_ai.model import Model, ModelOutput, get_model

from motools_build.evals.digits import LEAST, Reading, may_be_digits, read
from motools_build.evals.judges import judge
from motools_build.evals.verdicts import Tokens, Verdict
from motools_build.serving import models
from tests.zoo.mock import QUIET, echo, likely, metrics, model, run, said
from tests.zoo.split import Split
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
