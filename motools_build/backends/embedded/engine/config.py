"""The sizes of a Llama model, and the names of its linear layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motools_build.errors import EngineError

PARTS = (
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
)
"""The linear parts of a layer, by their names in GGUF; LoRA adapts all of them."""


@dataclass(frozen=True)
class Config:
    """The sizes of a Llama model."""

    layers: int
    width: int
    inner_width: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context: int
    """Context length: largest number of tokens of a prompt and its answer together."""
    norm_eps: float
    rope_base: float

    @classmethod
    def read(cls, metadata: Mapping[str, Any], path: Path) -> Config:
        """The sizes in a GGUF file's metadata. Raises EngineError, which names `path`,
        if the model is not a Llama or a size is missing."""
        if metadata.get("general.architecture") != "llama":
            kind = metadata.get("general.architecture")
            raise EngineError(f"{path} is a {kind} model; only llama is supported")
        try:
            return cls(
                layers=metadata["llama.block_count"],
                width=metadata["llama.embedding_length"],
                inner_width=metadata["llama.feed_forward_length"],
                heads=metadata["llama.attention.head_count"],
                kv_heads=metadata["llama.attention.head_count_kv"],
                head_size=metadata["llama.rope.dimension_count"],
                vocabulary=len(metadata["tokenizer.ggml.tokens"]),
                context=metadata["llama.context_length"],
                norm_eps=metadata["llama.attention.layer_norm_rms_epsilon"],
                rope_base=metadata["llama.rope.freq_base"],
            )
        except KeyError as error:
            raise EngineError(f"{path}: its metadata has no {error}") from error

    def shape(self, part: str) -> tuple[int, int]:
        """(inputs, outputs) of a linear part."""
        attended, kv = self.heads * self.head_size, self.kv_heads * self.head_size
        return {
            "attn_q": (self.width, attended),
            "attn_k": (self.width, kv),
            "attn_v": (self.width, kv),
            "attn_output": (attended, self.width),
            "ffn_gate": (self.width, self.inner_width),
            "ffn_up": (self.width, self.inner_width),
            "ffn_down": (self.inner_width, self.width),
        }[part]

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> NumPy shape of each tensor in the model's file."""
        shapes: dict[str, tuple[int, ...]] = {
            "token_embd.weight": (self.vocabulary, self.width),
            "output_norm.weight": (self.width,),
        }
        for layer in range(self.layers):
            shapes[f"blk.{layer}.attn_norm.weight"] = (self.width,)
            shapes[f"blk.{layer}.ffn_norm.weight"] = (self.width,)
            for part in PARTS:
                shapes[f"blk.{layer}.{part}.weight"] = self.shape(part)[::-1]
        return shapes
