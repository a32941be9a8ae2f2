"""Reads GGUF, llama.cpp's file format: metadata, then tensors, quantized in blocks.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from motools_build.errors import EngineError

FloatArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int64]

_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9

_F32, _F16, _Q4_1, _Q8_0 = 0, 1, 3, 8
# For each tensor type: the stored item (a block), and the number of weights in it.
_STORED: dict[int, tuple[np.dtype[Any], int]] = {
    _F32: (np.dtype("<f4"), 1),
    _F16: (np.dtype("<f2"), 1),
    _Q4_1: (np.dtype([("scale", "<f2"), ("least", "<f2"), ("q", "u1", 16)]), 32),
    _Q8_0: (np.dtype([("scale", "<f2"), ("q", "i1", 32)]), 32),
}


def read_gguf(path: Path) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """Metadata and tensors of a GGUF v3 file; each tensor is a new float32 array.

    Shapes are NumPy's: a linear layer is (outputs, inputs). Raises EngineError for
    a file that is not GGUF v3, is cut short, or has a tensor type other than F32,
    F16, Q8_0 and Q4_1.
    """
    data = path.read_bytes()
    if data[:4] != b"GGUF":
        raise EngineError(f"{path} is not a GGUF file; fetch the model again")
    try:
        return _parse(data)
    except (struct.error, UnicodeDecodeError) as error:
        # Reading goes past the end of a file that is cut short, and also of a damaged
        # one, after a wrong length.
        message = f"{path} is cut short or damaged ({error}); fetch the model again"
        raise EngineError(message) from error
    except ValueError as error:
        raise EngineError(f"{path}: {error}; fetch the model again") from error


def _parse(data: bytes) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    reader = _Reader(data, at=4)
    version = reader.number("I")
    if version != 3:
        raise ValueError(f"GGUF version {version}, where 3 is supported")
    tensor_count, key_count = reader.number("Q"), reader.number("Q")
    metadata = {reader.string(): reader.typed() for _ in range(key_count)}
    headers = [reader.header() for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"its tensors are aligned to {alignment!r} bytes")
    start = reader.at + -reader.at % alignment
    tensors = {
        name: _tensor(data, name, shape, kind, start + offset)
        for name, shape, kind, offset in headers
    }
    return metadata, tensors


class _Reader:
    """Reads little-endian values in sequence; `at` is the offset of the next byte."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def string(self) -> str:
        length = self.number("Q")
        if length > len(self.data) - self.at:
            raise ValueError("cut short or damaged: a text ends after the file does")
        self.at += length
        return str(self.data[self.at - length : self.at], "utf-8")

    def typed(self) -> Any:
        return self.value(self.number("I"))

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            element, count = self.number("I"), self.number("Q")
            return [self.value(element) for _ in range(count)]
        if kind not in _SCALARS:
            raise ValueError(f"metadata of unknown type {kind}")
        return self.number(_SCALARS[kind])

    def header(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self.string(), self.number("I")
        shape = tuple(self.number("Q") for _ in range(dimensions))
        # GGUF lists the fastest-varying dimension first.
        return name, shape[::-1], self.number("I"), self.number("Q")


def _tensor(
    data: bytes, name: str, shape: tuple[int, ...], kind: int, at: int
) -> FloatArray:
    if kind not in _STORED:
        raise ValueError(f"tensor {name} has ggml type {kind}, which is not supported")
    stored, weights_per_item = _STORED[kind]
    items = math.prod(shape) // weights_per_item
    if at + items * stored.itemsize > len(data):
        raise ValueError(f"cut short: tensor {name} ends after the file does")
    raw = np.frombuffer(data, stored, items, at)
    if kind in (_F32, _F16):
        weights = raw.astype(np.float32)  # a copy, so that `data` can be freed
        return weights.reshape(shape)
    scale = raw["scale"].astype(np.float32)[:, None]
    weights = np.empty((items, weights_per_item), np.float32)
    if kind == _Q8_0:
        np.multiply(raw["q"], scale, out=weights)
    else:
        # Sixteen bytes hold 32 weights: 0-15 in low nibbles, 16-31 in high ones.
        np.multiply(raw["q"] & 15, scale, out=weights[:, :16])
        np.multiply(raw["q"] >> 4, scale, out=weights[:, 16:])
        weights += raw["least"].astype(np.float32)[:, None]
    return weights.reshape(shape)
