"""Loading, and what a file must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motools_build.backends.embedded.engine.layers import MASKED
from motools_build.backends.embedded.engine.model import Model
from motools_build.errors import EngineError

from .toy import toy_metadata, toy_tensors, write_gguf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"general.architecture": "qwen2"}, "is a qwen2 model; only llama"),
        ({"llama.block_count": 3}, r"tensor blk\.2\.attn_norm\.weight is missing"),
        ({"llama.block_count": 1}, r"unknown tensors blk\.1"),
        ({"llama.embedding_length": 64}, r"token_embd\.weight is missing or not"),
    ],
)
def test_other_models(tmp_path: Path, change: dict[str, Any], message: str):
    path = write_gguf(tmp_path / "x.gguf", toy_metadata() | change, toy_tensors())
    with pytest.raises(EngineError, match=message):
        Model.load(path)


def test_missing_metadata(tmp_path: Path):
    metadata = toy_metadata()
    del metadata["llama.rope.freq_base"]
    path = write_gguf(tmp_path / "x.gguf", metadata, toy_tensors())
    with pytest.raises(EngineError, match=r"has no 'llama\.rope\.freq_base'"):
        Model.load(path)


def test_a_token_sees_what_is_not_after_it(toy: Model):
    batch = toy.batch(np.array([[0, 1, 2], [4, 5, 6]]))
    assert batch.mask.shape == (2, 1, 1, 3, 7)
    seen = (batch.mask > MASKED)[:, 0, 0].sum(-1)
    assert seen.tolist() == [[1, 2, 3], [5, 6, 7]]


def test_later_tokens_change_nothing_before_them(toy: Model):
    def hidden(ids: list[int]) -> Any:
        batch = toy.batch(np.arange(len(ids))[None])
        return toy.forward(toy.embed(np.array([ids])), batch)

    one, other = hidden([5, 6, 7, 8]), hidden([5, 6, 7, 9])
    np.testing.assert_array_equal(one[:3], other[:3])
    assert not np.allclose(one[3], other[3])
