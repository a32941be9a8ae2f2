"""Continuations."""

from __future__ import annotations

import numpy as np
import pytest

from motools_build.backends.embedded.engine.generate import MOST_TOGETHER, generate
from motools_build.backends.embedded.engine.lora import Adapter
from motools_build.backends.embedded.engine.model import Model
from motools_build.errors import EngineError


def prompts(count: int) -> list[list[int]]:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 12, count)
    return [random.integers(3, 259, length).tolist() for length in lengths]


def slow_greedy(model: Model, prompt: list[int], max_tokens: int) -> list[int]:
    """Without a cache: the whole text again for each token."""
    ids = list(prompt)
    for _ in range(max_tokens):
        batch = model.batch(np.arange(len(ids))[None])
        x = model.forward(model.embed(np.array([ids])), batch)
        ids.append(int(model.logits(x[-1:])[0].argmax()))
        if ids[-1] == model.tokenizer.end:
            break
    return ids[len(prompt) :]


def test_greedy_is_the_likeliest_token_each_time(toy: Model):
    some = prompts(9)
    found = generate(toy, some, max_tokens=12, threads=2)
    assert found == [slow_greedy(toy, prompt, 12) for prompt in some]


def test_ends_with_the_end_of_turn(toy: Model):
    found = generate(
        toy, prompts(40), max_tokens=200, temperature=1.0, seeds=range(40), threads=2
    )
    assert any(len(answer) < 200 for answer in found)
    for answer in found:
        assert toy.tokenizer.end not in answer[:-1]
        assert len(answer) == 200 or answer[-1] == toy.tokenizer.end


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_order_and_threads_change_nothing(toy: Model, temperature: float):
    some = prompts(2 * MOST_TOGETHER + 5)
    seeds = list(range(len(some)))
    turned = np.random.default_rng(1).permutation(len(some)).tolist()

    def answers(order: list[int], threads: int) -> list[list[int]]:
        found = generate(
            toy,
            [some[index] for index in order],
            max_tokens=10,
            temperature=temperature,
            seeds=[seeds[index] for index in order],
            threads=threads,
        )
        return [found[order.index(index)] for index in range(len(some))]

    first = answers(seeds, threads=1)
    assert answers(turned, threads=1) == first
    assert answers(seeds, threads=4) == first


def test_each_prompt_has_its_own_luck(toy: Model):
    one, two = prompts(2)

    def sampled(some: list[list[int]], seeds: list[int]) -> list[list[int]]:
        return generate(
            toy, some, max_tokens=8, temperature=1.0, seeds=seeds, threads=1
        )

    alone = sampled([one], [7])[0]
    assert sampled([one, two], [7, 7])[0] == alone
    assert sampled([two, one], [8, 7])[1] == alone
    assert sampled([one], [-7])[0] != alone
    assert sampled([one, one], [1, 2])[0] != sampled([one, one], [1, 2])[1]


def test_sampling_follows_the_probabilities(toy: Model):
    prompt = prompts(1)[0]
    batch = toy.batch(np.arange(len(prompt))[None])
    x = toy.forward(toy.embed(np.array([prompt])), batch)
    logits = toy.logits(x[-1:])[0][0].astype(np.float64)
    expected = np.exp(logits - logits.max())
    expected /= expected.sum()
    found = generate(
        toy,
        [prompt] * 2000,
        max_tokens=1,
        temperature=1.0,
        seeds=range(2000),
        threads=2,
    )
    counts = np.bincount([answer[0] for answer in found], minlength=len(expected))
    # Five standard errors of the likeliest token's share.
    likeliest = expected.argmax()
    error = (expected[likeliest] * (1 - expected[likeliest]) / 2000) ** 0.5
    assert abs(counts[likeliest] / 2000 - expected[likeliest]) < 5 * error


def test_an_adapter_changes_the_answers(toy: Model):
    some = prompts(3)
    adapter = Adapter.init(toy.config, 2, 4, seed=0)
    plain = generate(toy, some, max_tokens=6, threads=1)
    assert generate(toy, some, max_tokens=6, threads=1, adapter=adapter) == plain
    adapter.flat += np.float32(0.3)
    assert generate(toy, some, max_tokens=6, threads=1, adapter=adapter) != plain
    assert generate(toy, some, max_tokens=6, threads=1) == plain


def test_nothing_to_do(toy: Model):
    assert generate(toy, [], max_tokens=5, threads=1) == []


def test_refused_prompts(toy: Model):
    with pytest.raises(EngineError, match="prompt 2 has 508 tokens"):
        generate(toy, [[5], [5] * 508], max_tokens=5, threads=1)
    with pytest.raises(EngineError, match="prompt 1 has 0 tokens"):
        generate(toy, [[]], max_tokens=5, threads=1)


def test_the_real_model_answers(base: Model):
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = base.tokenizer.prompt(chat)
    (answer,) = generate(base, [prompt], max_tokens=16, threads=1)
    assert answer[-1] == base.tokenizer.end
    assert base.tokenizer.decode(answer) == "The capital of France is Paris."
