"""Fine-tuning: the loss, its gradient with respect to the adapter, and Adam."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from motools_build.backends.embedded.engine.gguf import FloatArray, IntArray
from motools_build.backends.embedded.engine.layers import softmax
from motools_build.backends.embedded.engine.lora import Adapter
from motools_build.backends.embedded.engine.model import Model, Tape
from motools_build.backends.embedded.engine.tokenizer import TrainingExample
from motools_build.errors import EngineError

MICRO_BATCH = 2
"""Examples in one forward and backward pass. It affects results, by rounding of
sums."""

_WARM_UP = 0.1  # fraction of the steps
_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8
_MAX_NORM = 1.0


def fit(
    model: Model,
    examples: Sequence[TrainingExample],
    *,
    rank: int,
    alpha: float,
    learning_rate: float,
    epochs: int,
    batch_size: int,
    seed: int,
    threads: int,
    on_step: Callable[[int, int, float], None],
) -> tuple[Adapter, list[float]]:
    """Train a new adapter; returns it with the loss of each step (nats per token).

    The learning rate rises linearly over the first tenth of the steps, and decays to 0.
    `on_step` is called with the step (from 1), the number of steps, and the loss. The
    result is the same bit for bit for any number of threads. Raises EngineError for an
    example without a trained token, and if training diverges.
    """
    for number, example in enumerate(examples, start=1):
        if not any(example.trained[1:]):
            raise EngineError(f"training example {number} has no token to learn")
    adapter = Adapter.init(model.config, rank, alpha, seed)
    adam = _Adam(adapter.flat)
    random = np.random.default_rng(seed)
    total = math.ceil(len(examples) / batch_size) * epochs
    warm_up = max(1, int(total * _WARM_UP))
    losses: list[float] = []
    for _ in range(epochs):
        order = random.permutation(len(examples))
        for start in range(0, len(order), batch_size):
            batch = [examples[index] for index in order[start : start + batch_size]]
            loss, gradient = loss_and_grad(model, adapter, batch, threads)
            with np.errstate(over="ignore", invalid="ignore"):
                norm = math.sqrt(gradient @ gradient)
            step = len(losses)
            if not math.isfinite(loss + norm):
                raise EngineError(
                    f"training diverged at step {step + 1} of {total} "
                    f"(loss {loss:.4g}); lower learning_rate from {learning_rate:g}"
                )
            gradient *= np.float32(min(1.0, _MAX_NORM / (norm + 1e-6)))
            decay = min(1.0, (step + 1) / warm_up) * (1 - step / total)
            adam.update(gradient, learning_rate * decay)
            losses.append(loss)
            on_step(step + 1, total, loss)
    return adapter, losses


def loss_and_grad(
    model: Model, adapter: Adapter, batch: Sequence[TrainingExample], threads: int
) -> tuple[float, FloatArray]:
    """Mean cross-entropy (nats) over the batch's trained tokens, and its gradient.

    The gradient is with respect to `adapter.flat`, and has its shape. Micro-batches of
    a fixed size run in threads and are added in a fixed order, so the number of threads
    does not change the result.
    """
    total = sum(sum(example.trained[1:]) for example in batch)
    # Sorted by length, so that there is little padding; the longest first, so that no
    # thread starts with the longest when the others have finished.
    batch = sorted(batch, key=lambda example: -len(example.ids))
    starts = range(0, len(batch), MICRO_BATCH)
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(
            lambda start: _micro_batch(
                model, adapter, batch[start : start + MICRO_BATCH], total
            ),
            starts,
        )
        loss, gradient = next(parts)
        for part_loss, part_gradient in parts:
            loss += part_loss
            gradient += part_gradient
    return loss, gradient


def _micro_batch(
    model: Model, adapter: Adapter, examples: Sequence[TrainingExample], total: int
) -> tuple[float, FloatArray]:
    """The examples' part of the mean loss over `total` tokens, and its gradient
    (parameters,)."""
    length = max(len(example.ids) for example in examples) - 1
    ids = np.zeros((len(examples), length), np.int64)
    targets = np.zeros_like(ids)
    learned = np.zeros(ids.shape, bool)
    for row, example in enumerate(examples):
        own = len(example.ids) - 1
        ids[row, :own] = example.ids[:-1]
        targets[row, :own] = example.ids[1:]
        learned[row, :own] = example.trained[1:]
    rows = np.flatnonzero(learned)

    gradient = Adapter(model.config, adapter.rank, adapter.alpha)
    batch = model.batch(np.broadcast_to(np.arange(length), ids.shape))
    tapes: list[Tape] = []
    # Diverging training overflows here; `fit` checks the loss and raises.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x = model.forward(model.embed(ids), batch, adapter, tapes=tapes)
        logits, inverse_rms = model.logits(x[rows])
        loss, by_logits = _cross_entropy(logits, targets.reshape(-1)[rows], total)
        by_x = np.zeros_like(x)
        by_x[rows] = model.logits_backward(by_logits, x[rows], inverse_rms)
        model.backward(by_x, batch, adapter, tapes, into=gradient)
    return loss, gradient.flat


def _cross_entropy(
    logits_in_place: FloatArray, targets: IntArray, total: int
) -> tuple[float, FloatArray]:
    """The sum over rows of -log p(target), divided by `total`, and its gradient with
    respect to the logits (T, V)."""
    rows = np.arange(len(targets))
    probabilities = softmax(logits_in_place)
    # A probability of zero is replaced by the smallest positive float32.
    likely = np.maximum(probabilities[rows, targets], np.finfo(np.float32).tiny)
    loss = -float(np.log(likely).sum()) / total
    probabilities[rows, targets] -= 1
    probabilities /= np.float32(total)
    return loss, probabilities


class _Adam:
    """Adam without weight decay; updates one vector in place."""

    def __init__(self, weights: FloatArray) -> None:
        self.weights = weights
        self.mean, self.square = np.zeros_like(weights), np.zeros_like(weights)
        self.steps = 0

    def update(self, gradient: FloatArray, rate: float) -> None:
        self.steps += 1
        self.mean *= np.float32(_BETA1)
        self.mean += np.float32(1 - _BETA1) * gradient
        self.square *= np.float32(_BETA2)
        self.square += np.float32(1 - _BETA2) * gradient * gradient
        mean_share, square_share = 1 - _BETA1**self.steps, 1 - _BETA2**self.steps
        deviation = np.sqrt(self.square * np.float32(1 / square_share))
        deviation += np.float32(_EPS)
        self.weights -= np.float32(rate / mean_share) * self.mean / deviation
