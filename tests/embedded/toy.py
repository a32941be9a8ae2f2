"""A GGUF file with a tiny random Llama in it, written here."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
F32, F16, Q4_1, Q8_0 = 0, 1, 3, 8


def toy_metadata() -> dict[str, Any]:
    """Two layers, four query heads over two key heads, a token for each byte."""
    letters = [chr(byte) for byte in PRINTABLE]
    letters += [chr(256 + index) for index in range(256 - len(letters))]
    tokens = [*SPECIAL, *letters]
    return {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.embedding_length": 32,
        "llama.feed_forward_length": 64,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.rope.dimension_count": 8,
        "llama.context_length": 512,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10000.0,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * len(letters),
    }


def toy_tensors(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Random weights, large enough that every part matters."""
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (259, 32),
        "output_norm.weight": (32,),
    }
    for layer in range(2):
        for name, shape in {
            "attn_norm": (32,),
            "attn_q": (32, 32),
            "attn_k": (16, 32),
            "attn_v": (16, 32),
            "attn_output": (32, 32),
            "ffn_norm": (32,),
            "ffn_gate": (64, 32),
            "ffn_up": (64, 32),
            "ffn_down": (32, 64),
        }.items():
            shapes[f"blk.{layer}.{name}.weight"] = shape
    return {
        name: (random.normal(0, 0.3, shape) + (len(shape) == 1)).astype(np.float32)
        for name, shape in shapes.items()
    }


def write_gguf(
    path: Path,
    metadata: dict[str, Any],
    tensors: dict[str, NDArray[np.float32]],
    kinds: dict[str, int] | None = None,
) -> Path:
    """Write a GGUF v3 file; tensors are F32 unless `kinds` says otherwise."""
    alignment = metadata.get("general.alignment", 32)
    header, body = bytearray(), bytearray()
    for key, value in metadata.items():
        header += _string(key) + _typed(value)
    for name, tensor in tensors.items():
        kind = (kinds or {}).get(name, F32)
        dimensions = tensor.shape[::-1]
        header += _string(name) + struct.pack("<I", len(dimensions))
        header += struct.pack(f"<{len(dimensions)}Q", *dimensions)
        header += struct.pack("<IQ", kind, len(body))
        body += _quantized(tensor, kind)
        body += bytes(-len(body) % alignment)
    start = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + header
    path.write_bytes(start + bytes(-len(start) % alignment) + body)
    return path


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _typed(value: Any) -> bytes:
    if isinstance(value, list):
        kind, _ = _scalar(value[0])
        items = b"".join(_scalar(item)[1] for item in value)
        return struct.pack("<IIQ", 9, kind, len(value)) + items
    kind, raw = _scalar(value)
    return struct.pack("<I", kind) + raw


def _scalar(value: Any) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 12, struct.pack("<d", value)
    return 8, _string(value)


def _quantized(tensor: NDArray[np.float32], kind: int) -> bytes:
    if kind == F32:
        return tensor.tobytes()
    if kind == F16:
        return tensor.astype(np.float16).tobytes()
    blocks = tensor.reshape(-1, 32)
    if kind == Q8_0:
        scale = (np.abs(blocks).max(1) / 127).astype(np.float16)
        quants = np.rint(blocks / scale[:, None].astype(np.float32)).astype(np.int8)
        pairs = zip(scale, quants, strict=True)
        return b"".join(one.tobytes() + row.tobytes() for one, row in pairs)
    least = blocks.min(1).astype(np.float16)
    scale = ((blocks.max(1) - least) / 15).astype(np.float16)
    steps = (blocks - least[:, None]) / scale[:, None].astype(np.float32)
    quants = np.clip(np.rint(steps), 0, 15).astype(np.uint8)
    packed = quants[:, :16] | quants[:, 16:] << 4
    rows = zip(scale, least, packed, strict=True)
    return b"".join(b"".join(part.tobytes() for part in row) for row in rows)
