"""The gradient, and that training is the same to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from motools_build.backends.embedded.engine.lora import Adapter
from motools_build.backends.embedded.engine.model import Model
from motools_build.backends.embedded.engine.tokenizer import TrainingExample
from motools_build.backends.embedded.engine.train import fit, loss_and_grad
from motools_build.errors import EngineError


def examples(count: int, seed: int = 0) -> list[TrainingExample]:
    """Random ids of random lengths; the first tokens are not trained."""
    random = np.random.default_rng(seed)
    made = []
    for length in random.integers(6, 20, count):
        ids = random.integers(3, 259, length).tolist()
        made.append(TrainingExample(ids, [False] * 3 + [True] * (len(ids) - 3)))
    return made


def settings(**changed: Any) -> dict[str, Any]:
    return {
        "rank": 2,
        "alpha": 4,
        "learning_rate": 2e-2,
        "epochs": 2,
        "batch_size": 4,
        "seed": 0,
        "threads": 1,
        "on_step": lambda step, total, loss: None,
    } | changed


def test_gradient_against_finite_differences(toy: Model):
    random = np.random.default_rng(0)
    adapter = Adapter(toy.config, rank=2, alpha=4)
    adapter.flat[:] = random.normal(0, 0.1, adapter.flat.shape)
    batch = examples(3)
    _, gradient = loss_and_grad(toy, adapter, batch, threads=1)
    own = Adapter(toy.config, 2, 4, gradient)

    def slope(direction: np.ndarray) -> float:
        """Central difference, in a step that float32 can still tell."""
        start, step = adapter.flat.copy(), np.float32(1e-2)
        losses = []
        for signed in (step, -step):
            adapter.flat[:] = start + signed * direction
            losses.append(loss_and_grad(toy, adapter, batch, threads=1)[0])
        adapter.flat[:] = start
        return (losses[0] - losses[1]) / (2 * float(step))

    # Along each part's own gradient, the slope is that gradient's length.
    for matrices in (own.A, own.B):
        for key, part in matrices.items():
            length = float(np.sqrt((part * part).sum()))
            assert length > 1e-4, key
            direction = Adapter(toy.config, 2, 4)
            chosen = direction.A if matrices is own.A else direction.B
            chosen[key][:] = part / length
            assert slope(direction.flat) == pytest.approx(length, rel=0.02, abs=1e-4)


def test_padding_and_order_change_nothing(toy: Model):
    adapter = Adapter.init(toy.config, 2, 4, seed=0)
    adapter.flat += np.float32(0.01)
    batch = examples(5)
    loss, gradient = loss_and_grad(toy, adapter, batch, threads=1)
    turned_loss, turned = loss_and_grad(toy, adapter, batch[::-1], threads=1)
    assert turned_loss == pytest.approx(loss, rel=1e-6)
    np.testing.assert_allclose(turned, gradient, atol=1e-5)
    counts = [sum(example.trained[1:]) for example in batch]
    alone = [loss_and_grad(toy, adapter, [one], threads=1)[0] for one in batch]
    assert np.average(alone, weights=counts) == pytest.approx(loss, rel=1e-5)


def test_same_to_the_bit_over_threads(toy: Model):
    runs = [fit(toy, examples(11), **settings(threads=n)) for n in (1, 2, 4)]
    for adapter, losses in runs[1:]:
        assert losses == runs[0][1]
        assert adapter.flat.tobytes() == runs[0][0].flat.tobytes()


def test_learns_and_reports(toy: Model):
    seen: list[tuple[int, int, float]] = []
    report = settings(epochs=20, on_step=lambda *step: seen.append(step))
    adapter, losses = fit(toy, examples(6), **report)
    assert [step for step, _, _ in seen] == list(range(1, 41))
    assert {total for _, total, _ in seen} == {40}
    assert [loss for _, _, loss in seen] == losses
    assert losses[-1] < 0.7 * losses[0]
    assert np.isfinite(adapter.flat).all()


def test_seed_matters(toy: Model):
    one, _ = fit(toy, examples(6), **settings(seed=1))
    two, _ = fit(toy, examples(6), **settings(seed=2))
    assert (one.flat != two.flat).any()


def test_divergence(toy: Model):
    diverging = settings(learning_rate=1e30, epochs=5)
    with pytest.raises(EngineError, match=r"diverged at step 2 of 10 .*lower learn"):
        fit(toy, examples(6), **diverging)


def test_nothing_to_learn(toy: Model):
    empty = TrainingExample([1, 2, 3], [True, False, False])
    with pytest.raises(EngineError, match="example 2 has no token to learn"):
        fit(toy, [*examples(1), empty], **settings())
