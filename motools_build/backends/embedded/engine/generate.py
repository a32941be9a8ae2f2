"""Continuations of prompts, greedy or sampled, in batches."""

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
"""Prompts that one thread continues together: a product with 24 rows takes one and a
half times as long as one with 10. Part of the result, by rounding."""


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
    """New token ids for each prompt, in the order of the prompts.

    A continuation ends with <|im_end|>, or after max_tokens. At temperature 0 it
    is greedy; above, sampled from a stream of the prompt's own, made of its seed
    and its ids. Neither the order of the prompts nor the number of threads matters.
    Raises EngineError for an empty prompt, and for one that leaves less than
    max_tokens of the model's context.
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
    # Prompts of a length together; the rest of the key makes the shards the same
    # whatever order the prompts came in.
    work.sort(key=lambda item: (len(item[0]), list(item[0]), item[1]))
    # By pairs, so that two cores are both busy; never by how many there are.
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
    """Picks one prompt's next tokens."""

    def __init__(self, temperature: float, seed: int, prompt: Sequence[int]) -> None:
        self._temperature = temperature
        # With the ids, or prompts of one seed would all have the same luck.
        self._random = np.random.default_rng([seed % 2**64, *prompt])

    def pick(self, logits: FloatArray) -> int:
        """(V,)"""
        if self._temperature == 0:
            return int(logits.argmax())
        scores = logits.astype(np.float64) - logits.max()
        cumulative = np.exp(scores / self._temperature).cumsum()
        point = self._random.random() * cumulative[-1]
        # At the very end, rounding could point past the last token.
        return min(int(cumulative.searchsorted(point, "right")), len(logits) - 1)


def _continue(
    model: Model,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    choosers: Sequence[_Chooser],
    adapter: Adapter | None,
) -> list[list[int]]:
    """The prompts first, all at once, then one token of each at a time."""
    size = len(prompts)
    lengths = np.array([len(prompt) for prompt in prompts])
    longest = int(lengths.max())
    # What follows a shorter prompt is overwritten as it goes on, and unseen before.
    ids = np.zeros((size, longest), np.int64)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = prompt
    cache = Cache(model.config, size, longest + max_tokens)
    positions = np.broadcast_to(np.arange(longest), ids.shape)
    x = _forward(model, ids, positions, adapter, cache)
    x = x.reshape(size, longest, -1)[np.arange(size), lengths - 1]

    answers: list[list[int]] = [[] for _ in prompts]
    live = list(range(size))  # which prompt each row goes on with
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
    """(B, N) ids at (B, N) positions to (B * N, D)."""
    x, batch = model.embed(ids), model.batch(positions)
    return model.forward(x, batch, adapter, cache=cache)
