"""Generation: continues prompts, greedily or by sampling, in batches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from motools_build.backends.embedded.engine.gguf import FloatArray, IntArray
from motools_build.backends.embedded.engine.lora import Adapter
from motools_build.backends.embedded.engine.model import Cache, Model
from motools_build.errors import EngineError

MOST_TOGETHER = 24
"""Largest number of prompts that one thread continues together: a matrix product with
24 rows takes only 1.5 times as long as one with 10. It affects results, by rounding."""


def generate(
    model: Model,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    temperature: float = 0.0,
    seeds: Sequence[int] | None = None,
    threads: int,
    adapter: Adapter | None = None,
) -> list[list[int]]:
    """New token ids for each prompt (a list of token ids), in the order of the prompts.

    A continuation ends with <|im_end|>, which it includes, or after max_tokens. At
    temperature 0 decoding is greedy; above, tokens are sampled with a random generator
    of the prompt's own, seeded with the prompt's seed (`seeds`, by default 0) and its
    ids. Neither the order of the prompts nor the number of threads changes the result.
    Raises EngineError for an empty prompt, and for one that leaves less than max_tokens
    of the model's context.
    """
    for number, prompt in enumerate(prompts, start=1):
        if not prompt or len(prompt) + max_tokens > model.config.context:
            raise EngineError(
                f"prompt {number} has {len(prompt)} tokens, which with max_tokens = "
                f"{max_tokens} must lie within 1 and {model.config.context}; "
                "shorten it or lower max_tokens"
            )
    if not prompts:
        return []
    seeds = [0] * len(prompts) if seeds is None else seeds
    work = list(zip(prompts, seeds, range(len(prompts)), strict=True))
    # Sort by length, so that prompts of similar length share a shard; the rest of the
    # sort key makes the shards the same for any order of the prompts.
    work.sort(key=lambda item: (len(item[0]), list(item[0]), item[1]))
    # An even number of shards, so that two cores are both busy. It must not depend on
    # the number of cores, which would change results.
    count = min(2 * math.ceil(len(work) / (2 * MOST_TOGETHER)), len(work))
    cuts = [len(work) * shard // count for shard in range(count + 1)]
    shards = [work[start:end] for start, end in itertools.pairwise(cuts)]
    with ThreadPoolExecutor(threads) as pool:
        answers = pool.map(
            lambda shard: _continue(
                model,
                [prompt for prompt, _, _ in shard],
                max_tokens,
                [_Chooser(temperature, seed, prompt) for prompt, seed, _ in shard],
                adapter,
            ),
            shards,
        )
        in_work_order = [answer for shard in answers for answer in shard]
    results: list[list[int]] = [[]] * len(prompts)
    for (_, _, place), answer in zip(work, in_work_order, strict=True):
        results[place] = answer
    return results


class _Chooser:
    """Picks the next tokens of one prompt."""

    def __init__(self, temperature: float, seed: int, prompt: Sequence[int]) -> None:
        self._temperature = temperature
        # The ids are part of the seed, or all prompts would draw the same numbers.
        self._random = np.random.default_rng([seed % 2**64, *prompt])

    def pick(self, logits: FloatArray) -> int:
        """The next token id, from the logits (V,)."""
        if self._temperature == 0:
            return int(logits.argmax())
        scores = logits.astype(np.float64) - logits.max()
        cumulative = np.exp(scores / self._temperature).cumsum()
        point = self._random.random() * cumulative[-1]
        # Rounding could point past the last token.
        return min(int(cumulative.searchsorted(point, "right")), len(logits) - 1)


def _continue(
    model: Model,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    choosers: Sequence[_Chooser],
    adapter: Adapter | None,
) -> list[list[int]]:
    """Prefill: all prompts at once; then decode one token of each prompt per step.
    Returns the new ids of each prompt."""
    size = len(prompts)
    lengths = np.array([len(prompt) for prompt in prompts])
    longest = int(lengths.max())
    # The padding after a shorter prompt is masked, and overwritten by the new tokens.
    ids = np.zeros((size, longest), np.int64)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = prompt
    cache = Cache(model.config, size, longest + max_tokens)
    positions = np.broadcast_to(np.arange(longest), ids.shape)
    x = _forward(model, ids, positions, adapter, cache)
    x = x.reshape(size, longest, -1)[np.arange(size), lengths - 1]

    answers: list[list[int]] = [[] for _ in prompts]
    live = list(range(size))  # index of each row's prompt
    for step in range(1, max_tokens + 1):
        logits, _ = model.logits(x)
        chosen = np.array(
            [choosers[index].pick(row) for index, row in zip(live, logits, strict=True)]
        )
        for index, id in zip(live, chosen, strict=True):
            answers[index].append(int(id))
        going_on = np.flatnonzero(chosen != model.tokenizer.end)
        if len(going_on) == 0 or step == max_tokens:
            break
        if len(going_on) < len(live):
            live, chosen = [live[row] for row in going_on], chosen[going_on]
            cache.keep(going_on)
        positions = lengths[live][:, None] + (step - 1)
        x = _forward(model, chosen[:, None], positions, adapter, cache)
    return answers


def _forward(
    model: Model,
    ids: IntArray,
    positions: IntArray,
    adapter: Adapter | None,
    cache: Cache,
) -> FloatArray:
    """The last hidden states (B * N, D) of ids (B, N) at positions (B, N)."""
    x, batch = model.embed(ids), model.batch(positions)
    return model.forward(x, batch, adapter, cache=cache)
