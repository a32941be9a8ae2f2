"""Loads models of Hugging Face from this machine's disk. Imports torch."""

from __future__ import annotations

import math
import os
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.errors import EngineError, MissingExtra

if TYPE_CHECKING:
    import torch

TRAINED_BYTES = 16
"""Bytes of GPU memory for each weight that is trained: itself, its gradient and Adam's
two moments, in 32 bits each."""

EXTRA = (
    "models of local/ need torch, transformers and peft: pip install "
    "'motools_build[local]'"
)


def check_installed() -> None:
    """Raises MissingExtra, naming the extra, if a package is not installed."""
    try:
        import peft  # noqa: F401
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra(f"{EXTRA} ({error})") from error
    # PEFT uses a name that transformers is about to lose
    warnings.filterwarnings("ignore", ".*gradient_checkpointing", FutureWarning)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    # the same bits again after a death; without an equal kernel, torch warns
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)


def dtype_of(option: str, device: str) -> torch.dtype:
    """The number format of the weights: `auto` is bf16 on a GPU that has it."""
    import torch

    if option == "auto":
        has = device.startswith("cuda") and torch.cuda.is_bf16_supported()
        option = "bf16" if has else "fp32"
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[option]


@cache
def tokenizer_of(folder: Path) -> Any:
    """The tokenizer of a model's folder. Raises EngineError if there is none."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        raise EngineError(f"{folder}: no tokenizer can be loaded: {error}") from error


def model_of(
    folder: Path, device: str, dtype: torch.dtype, adapter: str | None = None
) -> Any:
    """The model of a folder, on a device: to answer with, or to be trained as
    `Local.adapter` says. All weights are trained in 32 bits, whatever `dtype` is; QLoRA
    loads them in 4 bits. Raises EngineError if the model cannot be loaded, if some of
    its weights are in no file, or if it is too large for the device, which is told
    before it is loaded."""
    import torch
    from transformers import AutoModelForCausalLM

    _refuse_too_large(folder, device, adapter)
    how: dict[str, Any] = {"dtype": torch.float32 if adapter == "full" else dtype}
    if adapter == "qlora":
        how |= {"quantization_config": _four_bits(dtype), "device_map": device}
    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **how,
        )
    except Exception as error:
        raise EngineError(f"{folder}: it cannot be loaded: {error}") from error
    missing = sorted(told["missing_keys"])
    if missing:  # transformers fills them with random numbers
        raise EngineError(
            f"{folder}: {len(missing)} weights of the model are in none of its "
            f"*.safetensors: {', '.join(missing[:3])}"
        )
    return model if adapter == "qlora" else model.to(device)


def check_quantized(device: str) -> None:
    """Raises EngineError if a model cannot be loaded in 4 bits here."""
    if not device.startswith("cuda"):
        raise EngineError(
            f"training.local.adapter='qlora' needs a CUDA GPU, and this machine has "
            f"{device}; take adapter='lora'"
        )
    if find_spec("bitsandbytes") is None:
        raise EngineError(
            "training.local.adapter='qlora' needs bitsandbytes: pip install "
            "bitsandbytes"
        )


def _four_bits(dtype: torch.dtype) -> Any:
    """The configuration of Dettmers et al. 2023: 4-bit NormalFloat, double
    quantization."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _refuse_too_large(folder: Path, device: str, adapter: str | None) -> None:
    if not device.startswith("cuda"):
        return
    import torch

    trained_all = adapter == "full"
    bytes_each = {"full": TRAINED_BYTES, "qlora": 0.5}.get(adapter or "", 2)
    needed = _weights(folder) * bytes_each
    _, total = torch.cuda.mem_get_info()
    if needed > total:
        remedy = (
            "train an adapter, Training(local=Local(adapter='lora')), or a smaller "
            "model"
            if trained_all
            else "take a smaller model"
        )
        raise EngineError(
            f"{folder}: it needs {needed / 1e9:.0f} GB, and the GPU has "
            f"{total / 1e9:.0f}; {remedy}"
        )


def _weights(folder: Path) -> int:
    """The number of a model's weights, by the headers of its files."""
    from safetensors import safe_open

    found = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            found += sum(
                math.prod(file.get_slice(name).get_shape())
                for name in file.keys()  # noqa: SIM118 - the file has no iterator
            )
    return found
