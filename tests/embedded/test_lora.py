"""Adapters on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from motools_build.backends.embedded.engine.lora import Adapter
from motools_build.backends.embedded.engine.model import Model
from motools_build.errors import EngineError

FILES = ["adapter_config.json", "adapter_model.safetensors"]


def random_adapter(model: Model, seed: int = 0) -> Adapter:
    adapter = Adapter(model.config, rank=3, alpha=6)
    adapter.flat[:] = np.random.default_rng(seed).normal(size=adapter.flat.shape)
    return adapter


def test_starts_as_the_base_model(toy: Model):
    adapter = Adapter.init(toy.config, rank=4, alpha=8, seed=1)
    assert not any(weights.any() for weights in adapter.B.values())
    for (_, part), weights in adapter.A.items():
        bound = toy.config.shape(part)[0] ** -0.5
        assert 0.8 * bound < np.abs(weights).max() <= bound
    again = Adapter.init(toy.config, rank=4, alpha=8, seed=1)
    other = Adapter.init(toy.config, rank=4, alpha=8, seed=2)
    assert (adapter.flat == again.flat).all()
    assert (adapter.flat != other.flat).any()


def test_round_trip(toy: Model, tmp_path: Path):
    adapter = random_adapter(toy)
    adapter.save(tmp_path)
    found = Adapter.load(tmp_path, toy.config)
    assert (found.rank, found.alpha, found.scale) == (3, 6.0, 2.0)
    assert found.flat.tobytes() == adapter.flat.tobytes()


def test_same_weights_give_the_same_bytes(toy: Model, tmp_path: Path):
    random_adapter(toy).save(tmp_path / "one")
    random_adapter(toy).save(tmp_path / "two")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == FILES
    for name in FILES:
        one, two = (tmp_path / "one" / name), (tmp_path / "two" / name)
        assert one.read_bytes() == two.read_bytes()


def test_layout_is_peft_s(toy: Model, tmp_path: Path):
    adapter = random_adapter(toy)
    adapter.save(tmp_path)
    config = json.loads((tmp_path / FILES[0]).read_text())
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert (config["r"], config["lora_alpha"]) == (3, 6)
    tensors = load_file(tmp_path / FILES[1])
    layer = "base_model.model.model.layers.1."
    up = tensors[layer + "mlp.up_proj.lora_B.weight"]
    assert (up == adapter.B[1, "ffn_up"]).all()
    # Heads of 8: our rows 0, 1 are rotated together; theirs are 0 and 4.
    key = tensors[layer + "self_attn.k_proj.lora_B.weight"]
    assert (key[[0, 4, 1, 5]] == adapter.B[1, "attn_k"][[0, 1, 2, 3]]).all()
    assert (key[[8, 12]] == adapter.B[1, "attn_k"][[8, 9]]).all()


def test_damaged_files(toy: Model, tmp_path: Path):
    adapter = random_adapter(toy)
    with pytest.raises(EngineError, match="holds no adapter"):
        Adapter.load(tmp_path, toy.config)
    adapter.save(tmp_path)
    weights = tmp_path / FILES[1]
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with pytest.raises(EngineError, match="holds no adapter"):
        Adapter.load(tmp_path, toy.config)
    weights.write_bytes(whole)
    save_file(load_file(weights) | {"more": np.zeros(1, np.float32)}, weights)
    with pytest.raises(EngineError, match="more is not a part"):
        Adapter.load(tmp_path, toy.config)
