"""A LoRA adapter, which changes each weight W to W + alpha / rank * B @ A.

Its files have PEFT's layout, so `peft.PeftModel.from_pretrained` opens them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

from motools_build.backends.embedded.engine.config import PARTS, Config
from motools_build.backends.embedded.engine.gguf import FloatArray
from motools_build.errors import EngineError

BASE_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_HF_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class Adapter:
    """The LoRA matrices A and B of every linear part of every layer.

    All parameters lie in one vector, so that Adam updates one vector. A gradient with
    respect to an adapter has the same form, and is an Adapter too.
    """

    def __init__(
        self, config: Config, rank: int, alpha: float, flat: FloatArray | None = None
    ) -> None:
        """An adapter of zeros; with `flat` (parameters,), a view of that vector."""
        self.config, self.rank, self.alpha = config, rank, float(alpha)
        self.scale = np.float32(alpha / rank)
        shapes = {part: config.shape(part) for part in PARTS}
        per_layer = sum(
            rank * (inputs + outputs) for inputs, outputs in shapes.values()
        )
        if flat is None:
            flat = np.zeros(config.layers * per_layer, np.float32)
        self.flat = flat
        """All parameters, float32 (parameters,)."""
        self.A: dict[tuple[int, str], FloatArray] = {}
        """(layer, part) -> matrix A (rank, inputs), a view of `flat`."""
        self.B: dict[tuple[int, str], FloatArray] = {}
        """(layer, part) -> matrix B (outputs, rank), a view of `flat`."""
        at = 0
        for layer in range(config.layers):
            for part, (inputs, outputs) in shapes.items():
                middle, end = at + rank * inputs, at + rank * (inputs + outputs)
                self.A[layer, part] = flat[at:middle].reshape(rank, inputs)
                self.B[layer, part] = flat[middle:end].reshape(outputs, rank)
                at = end

    @classmethod
    def init(cls, config: Config, rank: int, alpha: float, seed: int) -> Adapter:
        """An adapter with PEFT's initialization: A uniform within +-1 / sqrt(inputs), B
        zero."""
        adapter = cls(config, rank, alpha)
        random = np.random.default_rng(seed)
        for weights in adapter.A.values():
            weights[:] = random.uniform(-1, 1, weights.shape)
            weights /= np.sqrt(weights.shape[1])
        return adapter

    def save(self, folder: Path) -> None:
        """Write adapter_model.safetensors and adapter_config.json; the same adapter
        always gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {}
        for layer, part in self.A:
            tensors[_key(layer, part, "A")] = self.A[layer, part]
            rows = self._to_hf(part, self.B[layer, part])
            tensors[_key(layer, part, "B")] = np.ascontiguousarray(rows)
        save_file(tensors, folder / _WEIGHTS, metadata={"format": "pt"})
        settings = {
            "base_model_name_or_path": BASE_MODEL,
            "bias": "none",
            "fan_in_fan_out": False,
            "inference_mode": True,
            "lora_alpha": int(self.alpha) if self.alpha.is_integer() else self.alpha,
            "lora_dropout": 0.0,
            "peft_type": "LORA",
            "r": self.rank,
            "target_modules": sorted(
                name.rpartition(".")[2] for name in _HF_NAMES.values()
            ),
            "task_type": "CAUSAL_LM",
        }
        text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        (folder / _CONFIG).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, config: Config) -> Adapter:
        """Read an adapter that `save` wrote, bit for bit.

        Raises EngineError if a file is missing, damaged, or of another model.
        """
        try:
            settings = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
            adapter = cls(config, int(settings["r"]), float(settings["lora_alpha"]))
            tensors = load_file(folder / _WEIGHTS)
            expected = set()
            for layer, part in adapter.A:
                first, second = _key(layer, part, "A"), _key(layer, part, "B")
                expected |= {first, second}
                _copy(tensors[first], adapter.A[layer, part])
                rows = adapter._from_hf(part, tensors[second])
                _copy(rows, adapter.B[layer, part])
            if unknown := sorted(set(tensors) - expected):
                raise ValueError(f"{unknown[0]} is not a part of this model")
        except (
            OSError,
            KeyError,
            TypeError,
            ValueError,
            safetensors.SafetensorError,
        ) as error:
            message = (
                f"{folder} holds no adapter of this model ({error!r}); train again"
            )
            raise EngineError(message) from error
        return adapter

    def _to_hf(self, part: str, rows: FloatArray) -> FloatArray:
        """Reorder the rows of a matrix B (outputs, rank) from GGUF's order to Hugging
        Face's.

        Within a head of queries or keys, GGUF puts the two elements of a rotated pair
        side by side; Hugging Face has all first elements, then all second ones.
        """
        if part not in ("attn_q", "attn_k"):
            return rows
        pairs = rows.reshape(-1, self.config.head_size // 2, 2, self.rank)
        return pairs.swapaxes(1, 2).reshape(rows.shape)

    def _from_hf(self, part: str, rows: FloatArray) -> FloatArray:
        if part not in ("attn_q", "attn_k"):
            return rows
        halves = rows.reshape(-1, 2, self.config.head_size // 2, self.rank)
        return halves.swapaxes(1, 2).reshape(rows.shape)


def _key(layer: int, part: str, matrix: str) -> str:
    module = f"base_model.model.model.layers.{layer}.{_HF_NAMES[part]}"
    return f"{module}.lora_{matrix}.weight"


def _copy(source: FloatArray, target: FloatArray) -> None:
    if source.shape != target.shape or source.dtype != target.dtype:
        raise ValueError(f"a tensor is {source.dtype} {source.shape}")
    target[:] = source
