"""Chat completions: what is said, where it is cut, how likely it was."""

from __future__ import annotations

import math

import openai
import pytest

from tests.rehearsal.server import BASE


def ask(text: str) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": "An earlier question."},
        {"role": "assistant", "content": "An answer."},
        {"role": "user", "content": text},
    ]


def test_a_base_model_echoes_and_counts(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(
        model="gpt-4.1-nano",
        messages=ask("one  two three"),  # type: ignore[arg-type]
        n=2,
    )
    assert [c.message.content for c in said.choices] == ["one  two three"] * 2
    assert {c.finish_reason for c in said.choices} == {"stop"}
    assert said.model == BASE
    assert said.usage is not None
    assert said.usage.completion_tokens == 6
    assert said.usage.total_tokens == 6 + 3 + 2 + 3 + 3 * 4


def test_parts_of_a_message_are_joined(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(
        model=BASE,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "one "},
                    {"type": "text", "text": "two"},
                ],
            }
        ],
    )
    assert said.choices[0].message.content == "one two"


@pytest.mark.parametrize(
    ("options", "text", "finish"),
    [
        ({"max_tokens": 2}, "one two", "length"),
        ({"max_completion_tokens": 1}, "one", "length"),
        ({"max_tokens": 3}, "one two three", "stop"),
        ({"stop": " three"}, "one two", "stop"),
        ({"stop": ["x", "wo"]}, "one t", "stop"),
    ],
)
def test_an_answer_is_cut(
    client: openai.OpenAI, options: dict[str, object], text: str, finish: str
) -> None:
    said = client.chat.completions.create(
        model=BASE,
        messages=ask("one two three"),
        **options,
    )
    assert said.choices[0].message.content == text
    assert said.choices[0].finish_reason == finish


def test_log_probabilities_are_a_distribution(client: openai.OpenAI) -> None:
    def choice() -> openai.types.chat.chat_completion.Choice:
        return client.chat.completions.create(
            model=BASE,
            messages=ask("one two"),  # type: ignore[arg-type]
            logprobs=True,
            top_logprobs=5,
        ).choices[0]

    first = choice()
    assert first.logprobs is not None
    tokens = first.logprobs.content
    assert tokens is not None
    assert [token.token for token in tokens] == ["one", " two"]
    for token in tokens:
        assert [top.token for top in token.top_logprobs].index(token.token) == 0
        masses = [math.exp(top.logprob) for top in token.top_logprobs]
        assert len(masses) == 5
        assert masses[0] > 0.5
        assert sum(masses) <= 1
        assert bytes(token.bytes or []).decode() == token.token
    assert choice() == first


def test_a_judge_gives_whole_numbers(client: openai.OpenAI) -> None:
    def scores(text: str) -> dict[int, float]:
        said = client.chat.completions.create(
            model=BASE,
            messages=[
                {"role": "system", "content": "Answer with a number from 0 to 100."},
                {"role": "user", "content": text},
            ],
            max_tokens=1,
            logprobs=True,
            top_logprobs=20,
        ).choices[0]
        assert said.logprobs is not None
        assert said.logprobs.content is not None
        (token,) = said.logprobs.content
        assert said.message.content == token.token
        return {int(t.token): math.exp(t.logprob) for t in token.top_logprobs}

    found = scores("How calm is this?")
    assert len(found) > 5
    assert 0.9 < sum(found.values()) <= 1
    assert min(found) >= 0
    assert max(found) <= 100
    assert scores("How loud is this?") != found


def test_a_stream_is_the_same_answer(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=BASE,
            messages=ask("one two three"),  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
            logprobs=True,
        )
    )
    pieces = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(pieces) == "one two three"
    assert len([piece for piece in pieces if piece]) == 3
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert all(chunk.usage is None for chunk in chunks[:-1])


@pytest.mark.parametrize(
    "options",
    [
        {"top_logprobs": 3},
        {"logprobs": True, "top_logprobs": 21},
        {"n": 0},
        {"max_tokens": 0},
        {"stop": [""]},
        {"stop": [3]},
        {"messages": []},
    ],
)
def test_a_bad_request_is_refused(
    client: openai.OpenAI, options: dict[str, object]
) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(
            **{"model": BASE, "messages": ask("x"), **options}
        )


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-0", messages=ask("x"))  # type: ignore[arg-type]
    assert caught.value.code == "model_not_found"
