"""The base model: its weights, and its forward and backward pass.

A Model never changes after it is loaded, so one Model serves any number of adapters and
threads at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motools_build.backends.embedded.engine.config import PARTS, Config
from motools_build.backends.embedded.engine.gguf import FloatArray, IntArray, read_gguf
from motools_build.backends.embedded.engine.layers import (
    MASKED,
    Attended,
    Gated,
    Rotation,
    attention,
    attention_backward,
    rms_norm,
    rms_norm_backward,
    rotate,
    rotation,
    swiglu,
    swiglu_backward,
)
from motools_build.backends.embedded.engine.lora import Adapter
from motools_build.backends.embedded.engine.tokenizer import Tokenizer
from motools_build.errors import EngineError

__all__ = ["Batch", "Cache", "Config", "Model", "Tape"]


@dataclass(frozen=True)
class Batch:
    """The positions of a batch's tokens, and what follows from them."""

    positions: IntArray
    """(B, N), counted from 0 in each example."""
    rotation: Rotation
    """Rotary embedding (B, N, 1, h / 2); see `layers.rotation`."""
    mask: FloatArray
    """(B, 1, 1, N, M): 0 if the token may attend to the key, else MASKED."""


class Cache:
    """KV cache: keys and values of the tokens so far, for `size` examples of at most
    `capacity` tokens."""

    def __init__(self, config: Config, size: int, capacity: int) -> None:
        shape = (config.layers, size, capacity, config.kv_heads, config.head_size)
        self._keys = list(np.zeros(shape, np.float32))
        self._values = list(np.zeros(shape, np.float32))

    def extend(
        self, layer: int, keys: FloatArray, values: FloatArray, batch: Batch
    ) -> tuple[FloatArray, FloatArray]:
        """Store keys and values (B, N, K, h) at the batch's positions; returns those of
        all positions so far, (B, M, K, h)."""
        rows, visible = np.arange(len(keys))[:, None], batch.mask.shape[-1]
        self._keys[layer][rows, batch.positions] = keys
        self._values[layer][rows, batch.positions] = values
        return self._keys[layer][:, :visible], self._values[layer][:, :visible]

    def keep(self, rows: IntArray) -> None:
        """Drop all examples except those with these indices."""
        self._keys = [keys[rows] for keys in self._keys]
        self._values = [values[rows] for values in self._values]


@dataclass(frozen=True)
class Tape:
    """What a layer's backward pass needs from its forward pass."""

    entered: FloatArray  # (R, D), like `middle`: the residual stream
    middle: FloatArray
    entered_inverse_rms: FloatArray  # (R, 1)
    middle_inverse_rms: FloatArray
    attended: Attended
    gated: Gated
    inputs: dict[str, tuple[FloatArray, FloatArray]]
    """Linear part -> its input x (R, inputs), and x @ A.T * alpha / rank (R, rank)."""


class Model:
    """Frozen float32 weights, with the tokenizer from the same file."""

    def __init__(
        self, config: Config, tokenizer: Tokenizer, tensors: dict[str, FloatArray]
    ) -> None:
        """Removes the tensors from the dict `tensors`, so that none is in memory
        twice."""
        self.config, self.tokenizer = config, tokenizer
        self.embedding = tensors.pop("token_embd.weight")  # (V, D), also output layer
        self._output_norm = tensors.pop("output_norm.weight")
        self._norms: dict[tuple[int, str], FloatArray] = {}
        self._weights: dict[tuple[int, str], FloatArray] = {}
        for layer in range(config.layers):
            for name in ("attn_norm", "ffn_norm"):
                self._norms[layer, name] = tensors.pop(f"blk.{layer}.{name}.weight")
            for part in PARTS:
                weights = tensors.pop(f"blk.{layer}.{part}.weight")
                # (inputs, outputs): the faster layout for the few rows of generation.
                self._weights[layer, part] = np.ascontiguousarray(weights.T)

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read a GGUF file; takes one second and 0.6 GB of memory.

        Raises EngineError for a damaged file, and for a model that is not a Llama.
        """
        metadata, tensors = read_gguf(path)
        config = Config.read(metadata, path)
        found = {name: tensor.shape for name, tensor in tensors.items()}
        for name, shape in config.tensor_shapes().items():
            if found.pop(name, None) != shape:
                raise EngineError(f"{path}: tensor {name} is missing or not {shape}")
        if found:
            raise EngineError(f"{path}: unknown tensors {', '.join(sorted(found))}")
        return cls(config, Tokenizer(metadata), tensors)

    def embed(self, ids: IntArray) -> FloatArray:
        """The embeddings (B * N, D) of token ids (B, N)."""
        return self.embedding[ids.reshape(-1)]

    def batch(self, positions: IntArray) -> Batch:
        """The Batch of tokens at these positions (B, N), with a causal mask."""
        unseen = np.arange(positions.max() + 1) > positions[:, :, None]
        mask = np.where(unseen, MASKED, np.float32(0))[:, None, None]
        turned = rotation(positions, self.config.head_size, self.config.rope_base)
        return Batch(positions, turned, mask)

    def forward(
        self,
        x: FloatArray,
        batch: Batch,
        adapter: Adapter | None = None,
        *,
        cache: Cache | None = None,
        tapes: list[Tape] | None = None,
    ) -> FloatArray:
        """The output (R, D) of all layers for the input x (R, D).

        With `cache`, the batch's keys and values are added to it, and attention covers
        the whole cache. With `tapes`, one Tape per layer is appended, for `backward`.
        """
        for layer in range(self.config.layers):
            x, tape = self._layer(layer, x, batch, adapter, cache)
            if tapes is not None:
                tapes.append(tape)
        return x

    def logits(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The logits of the next token (R, V) for hidden states x (R, D), and 1 / RMS
        (R, 1), which `logits_backward` needs."""
        normed, inverse_rms = rms_norm(x, self._output_norm, self.config.norm_eps)
        return normed @ self.embedding.T, inverse_rms

    def logits_backward(
        self, gradient: FloatArray, x: FloatArray, inverse_rms: FloatArray
    ) -> FloatArray:
        """The gradient with respect to x (R, D), from that of the logits (R, V)."""
        by_normed = gradient @ self.embedding
        return rms_norm_backward(by_normed, x, self._output_norm, inverse_rms)

    def backward(
        self,
        gradient: FloatArray,
        batch: Batch,
        adapter: Adapter,
        tapes: list[Tape],
        into: Adapter,
    ) -> None:
        """Compute the gradient with respect to the adapter, from the gradient with
        respect to `forward`'s result (R, D).

        Empties `tapes`, and overwrites the parameters of `into` with the gradient.
        """
        for layer in reversed(range(self.config.layers)):
            tape = tapes.pop()
            gradient = self._layer_backward(layer, gradient, batch, adapter, tape, into)

    def _layer(
        self,
        layer: int,
        x: FloatArray,
        batch: Batch,
        adapter: Adapter | None,
        cache: Cache | None,
    ) -> tuple[FloatArray, Tape]:
        inputs: dict[str, tuple[FloatArray, FloatArray]] = {}

        def linear(part: str, x: FloatArray) -> FloatArray:
            y: FloatArray = x @ self._weights[layer, part]
            if adapter is not None:
                low = x @ adapter.A[layer, part].T
                low *= adapter.scale
                y += low @ adapter.B[layer, part].T
                inputs[part] = x, low
            return y

        def heads(x: FloatArray) -> FloatArray:
            return x.reshape(*batch.positions.shape, -1, self.config.head_size)

        normed, entered_inverse_rms = self._norm(layer, "attn_norm", x)
        queries = rotate(heads(linear("attn_q", normed)), batch.rotation)
        keys = rotate(heads(linear("attn_k", normed)), batch.rotation)
        values = heads(linear("attn_v", normed))
        if cache is not None:
            keys, values = cache.extend(layer, keys, values, batch)
        mixed, attended = attention(queries, keys, values, batch.mask)
        middle = linear("attn_output", mixed)
        middle += x
        normed, middle_inverse_rms = self._norm(layer, "ffn_norm", middle)
        gate, up = linear("ffn_gate", normed), linear("ffn_up", normed)
        activated, gated = swiglu(gate, up)
        out = linear("ffn_down", activated)
        out += middle
        return out, Tape(
            x, middle, entered_inverse_rms, middle_inverse_rms, attended, gated, inputs
        )

    def _layer_backward(
        self,
        layer: int,
        gradient: FloatArray,
        batch: Batch,
        adapter: Adapter,
        tape: Tape,
        into: Adapter,
    ) -> FloatArray:
        def linear(part: str, by_y: FloatArray) -> FloatArray:
            x, low = tape.inputs[part]
            by_low = by_y @ adapter.B[layer, part]
            by_low *= adapter.scale
            np.matmul(by_y.T, low, out=into.B[layer, part])
            np.matmul(by_low.T, x, out=into.A[layer, part])
            by_x: FloatArray = by_y @ self._weights[layer, part].T
            by_x += by_low @ adapter.A[layer, part]
            return by_x

        def norm(
            name: str, by_y: FloatArray, x: FloatArray, inverse_rms: FloatArray
        ) -> FloatArray:
            return rms_norm_backward(by_y, x, self._norms[layer, name], inverse_rms)

        def unrotated(by_heads: FloatArray) -> FloatArray:
            rows = rotate(by_heads, batch.rotation.conj())
            return rows.reshape(batch.positions.size, -1)

        by_gate, by_up = swiglu_backward(linear("ffn_down", gradient), tape.gated)
        by_normed = linear("ffn_gate", by_gate)
        by_normed += linear("ffn_up", by_up)
        by_middle = norm("ffn_norm", by_normed, tape.middle, tape.middle_inverse_rms)
        by_middle += gradient

        by_mixed = linear("attn_output", by_middle)
        by_queries, by_keys, by_values = attention_backward(by_mixed, tape.attended)
        by_normed = linear("attn_q", unrotated(by_queries))
        by_normed += linear("attn_k", unrotated(by_keys))
        by_normed += linear("attn_v", by_values.reshape(len(by_normed), -1))
        by_x = norm("attn_norm", by_normed, tape.entered, tape.entered_inverse_rms)
        by_x += by_middle
        return by_x

    def _norm(
        self, layer: int, name: str, x: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        return rms_norm(x, self._norms[layer, name], self.config.norm_eps)
