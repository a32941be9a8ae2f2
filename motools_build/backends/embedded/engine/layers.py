"""The operations of a Llama layer, each followed by its backward pass.

A backward function takes the gradient of the loss with respect to the operation's
result, and returns the gradient with respect to its inputs. Arrays named in_place are
overwritten, because allocating memory costs more than the arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from motools_build.backends.embedded.engine.gguf import FloatArray, IntArray

Rotation: TypeAlias = npt.NDArray[np.complex64]

MASKED = np.float32(-1e9)
"""Added to the attention score of a masked key."""


def rms_norm(
    x: FloatArray, weight: FloatArray, eps: float
) -> tuple[FloatArray, FloatArray]:
    """Returns x (R, D) divided by its root mean square (RMS) and times weight (D,), and
    1 / RMS (R, 1)."""
    mean_square = np.einsum("rd,rd->r", x, x)[:, None] / np.float32(x.shape[1])
    inverse_rms = 1 / np.sqrt(mean_square + np.float32(eps))
    normed = x * inverse_rms
    normed *= weight
    return normed, inverse_rms


def rms_norm_backward(
    gradient: FloatArray, x: FloatArray, weight: FloatArray, inverse_rms: FloatArray
) -> FloatArray:
    """The gradient with respect to x (R, D)."""
    result = gradient * weight
    along = np.einsum("rd,rd->r", result, x)[:, None] / np.float32(x.shape[1])
    result -= x * (along * inverse_rms**2)
    result *= inverse_rms
    return result


def rotation(positions: IntArray, head_size: int, base: float) -> Rotation:
    """Rotary position embedding of positions (B, N): complex unit numbers
    (B, N, 1, h / 2).

    GGUF stores the two elements of a rotated pair side by side, so a pair is one
    complex number, and its rotation a product. The inverse rotation is the conjugate.
    """
    frequencies = base ** (-np.arange(0, head_size, 2) / head_size)
    angles = positions[:, :, None, None] * frequencies
    turned: Rotation = np.exp(1j * angles).astype(np.complex64)
    return turned


def rotate(x: FloatArray, by: Rotation) -> FloatArray:
    """x (B, N, heads, h) rotated; x must be contiguous."""
    pairs: Rotation = x.view(np.complex64) * by
    return pairs.view(np.float32)


def softmax(in_place: FloatArray) -> FloatArray:
    """Scores to probabilities along the last axis, in place."""
    in_place -= in_place.max(axis=-1, keepdims=True)
    np.exp(in_place, out=in_place)
    in_place /= in_place.sum(axis=-1, keepdims=True)
    return in_place


class Attended(NamedTuple):
    """The arrays that `attention_backward` needs from the forward pass."""

    queries: FloatArray  # (B, K, G * N, h), scaled
    keys: FloatArray  # (B, K, M, h)
    values: FloatArray  # (B, K, M, h)
    weights: FloatArray  # (B, K, G * N, M), each row sums to 1


def attention(
    queries: FloatArray, keys: FloatArray, values: FloatArray, mask: FloatArray
) -> tuple[FloatArray, Attended]:
    """Grouped-query attention, and what its backward pass needs.

    queries (B, N, H, h); keys and values (B, M, K, h); mask (B or 1, 1, 1, N, M),
    added to the scores. Returns (B * N, H * h). The G query heads that share a key
    head are stacked, so that one matrix product serves them all.
    """
    batch, length, _, head_size = queries.shape
    kv_heads = keys.shape[2]
    stacked = _stack(queries * np.float32(head_size**-0.5), kv_heads)
    keys, values = keys.swapaxes(1, 2), values.swapaxes(1, 2)
    scores = stacked @ keys.swapaxes(2, 3)
    by_head = scores.reshape(batch, kv_heads, -1, length, keys.shape[2])
    by_head += mask
    weights = softmax(scores)
    mixed = _unstack(weights @ values, length)
    return mixed.reshape(batch * length, -1), Attended(stacked, keys, values, weights)


def attention_backward(
    gradient: FloatArray, attended: Attended
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The gradients with respect to queries (B, N, H, h), keys and values (B, N, K, h),
    all contiguous, from the gradient (B * N, H * h)."""
    queries, keys, values, weights = attended
    batch, kv_heads, length, head_size = keys.shape
    stacked = _stack(gradient.reshape(batch, length, -1, head_size), kv_heads)
    by_values = weights.swapaxes(2, 3) @ stacked
    by_scores: FloatArray = stacked @ values.swapaxes(2, 3)
    by_scores -= np.einsum("bkqm,bkqm->bkq", by_scores, weights)[..., None]
    by_scores *= weights
    by_queries: FloatArray = by_scores @ keys
    by_queries *= np.float32(head_size**-0.5)
    by_keys = by_scores.swapaxes(2, 3) @ queries
    return (
        _unstack(by_queries, length),
        np.ascontiguousarray(by_keys.swapaxes(1, 2)),
        np.ascontiguousarray(by_values.swapaxes(1, 2)),
    )


def _stack(x: FloatArray, kv_heads: int) -> FloatArray:
    """Reorder (B, N, H, h) to (B, K, G * N, h)."""
    batch, length, _, head_size = x.shape
    grouped = x.reshape(batch, length, kv_heads, -1, head_size)
    moved = np.ascontiguousarray(grouped.transpose(0, 2, 3, 1, 4))
    return moved.reshape(batch, kv_heads, -1, head_size)


def _unstack(x: FloatArray, length: int) -> FloatArray:
    """Reorder (B, K, G * N, h) to (B, N, H, h), the inverse of `_stack`."""
    batch, kv_heads, _, head_size = x.shape
    grouped = x.reshape(batch, kv_heads, -1, length, head_size)
    moved = np.ascontiguousarray(grouped.transpose(0, 3, 1, 2, 4))
    return moved.reshape(batch, length, -1, head_size)


class Gated(NamedTuple):
    """The arrays that `swiglu_backward` needs from the forward pass, all (R, F)."""

    sigmoid: FloatArray
    silu: FloatArray
    up: FloatArray


def swiglu(gate_in_place: FloatArray, up: FloatArray) -> tuple[FloatArray, Gated]:
    """Returns gate * sigmoid(gate) * up, all (R, F), and what the backward needs."""
    # The sigmoid is computed from tanh, which cannot overflow.
    sigmoid = gate_in_place * np.float32(0.5)
    np.tanh(sigmoid, out=sigmoid)
    sigmoid += 1
    sigmoid *= np.float32(0.5)
    silu = gate_in_place
    silu *= sigmoid
    return silu * up, Gated(sigmoid, silu, up)


def swiglu_backward(
    gradient_in_place: FloatArray, gated: Gated
) -> tuple[FloatArray, FloatArray]:
    """The gradients with respect to gate and to up, both (R, F)."""
    by_gate = 1 - gated.sigmoid
    by_gate *= gated.silu
    by_gate += gated.sigmoid
    by_gate *= gated.up
    by_gate *= gradient_in_place
    by_up = gradient_in_place
    by_up *= gated.silu
    return by_gate, by_up
