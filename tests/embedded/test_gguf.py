"""Reading GGUF files that were written by the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motools_build.backends.embedded.engine.gguf import read_gguf
from motools_build.errors import EngineError

from .toy import F16, F32, Q4_1, Q8_0, toy_metadata, toy_tensors, write_gguf


@pytest.mark.parametrize(
    ("kind", "tolerance"), [(F32, 0), (F16, 1e-3), (Q8_0, 1e-2), (Q4_1, 0.07)]
)
@pytest.mark.parametrize("alignment", [32, 64])
def test_round_trip(tmp_path: Path, kind: int, tolerance: float, alignment: int):
    random = np.random.default_rng(0)
    tensors = {
        name: random.uniform(-1, 1, shape).astype(np.float32)
        for name, shape in {"odd": (1, 32), "wide": (3, 64)}.items()
    }
    metadata = {"general.alignment": alignment, "list": ["a", "ü"], "yes": True}
    kinds = dict.fromkeys(tensors, kind)
    path = write_gguf(tmp_path / "x.gguf", metadata, tensors, kinds)
    found_metadata, found = read_gguf(path)
    assert found_metadata == metadata
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == np.float32
        assert found[name].flags.owndata or found[name].base.flags.owndata
        np.testing.assert_allclose(found[name], tensor, rtol=0, atol=tolerance)


def test_q4_1_by_hand(tmp_path: Path):
    steps = np.arange(32, dtype=np.float32) % 16
    weights = (steps * 0.5 - 3)[None]
    path = write_gguf(tmp_path / "x.gguf", {}, {"w": weights}, {"w": Q4_1})
    assert (read_gguf(path)[1]["w"] == weights).all()


def test_foreign_file(tmp_path: Path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(EngineError, match=r"model\.gguf is not a GGUF file"):
        read_gguf(path)


def test_other_version(tmp_path: Path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF\x02\x00\x00\x00" + bytes(16))
    with pytest.raises(EngineError, match="GGUF version 2, where 3 is supported"):
        read_gguf(path)


def test_cut_short_anywhere(tmp_path: Path):
    whole = write_gguf(tmp_path / "whole.gguf", toy_metadata(), toy_tensors())
    data = whole.read_bytes()
    path = tmp_path / "cut.gguf"
    for length in [5, 30, 1000, 4000, 5000, 20_000, len(data) - 64]:
        path.write_bytes(data[:length])
        with pytest.raises(EngineError, match=r"cut\.gguf.*cut short"):
            read_gguf(path)


def test_unknown_tensor_type(tmp_path: Path):
    weights = {"w": np.zeros((1, 32), np.float32)}
    path = write_gguf(tmp_path / "x.gguf", {}, weights)
    data = path.read_bytes()
    kind_at = data.index(b"w") + 1 + 4 + 16
    path.write_bytes(data[:kind_at] + b"\x0c" + data[kind_at + 1 :])
    with pytest.raises(EngineError, match="tensor w has ggml type 12"):
        read_gguf(path)
