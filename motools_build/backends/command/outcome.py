"""Checks the model that a command wrote, and takes it over.

A model is a PEFT adapter (adapter_config.json and adapter_model.safetensors) or a whole
model (config.json and its *.safetensors). Files of the folder itself are kept, not its
subfolders: those hold the checkpoints of trainers, with the states of optimizers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from motools_build.backends.local.adapters import ADAPTER
from motools_build.backends.local.folders import CONFIG, USED, weights_digest
from motools_build.errors import StageFailed
from motools_build.params import Trainer

ADAPTERS_WEIGHTS = "adapter_model.safetensors"

KEPT = (*USED, "*.jsonl", "*.md")
"""Patterns of the files that become payload."""

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
"""Files of which a whole model's tokenizer has one."""

INDEX = "model.safetensors.index.json"

EXPONENTS = {
    "F32": ("<u4", 0x7F800000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
}
"""Number format -> an integer type of its size, and the bits that all are set if it is
infinite or not a number."""


def taken(trainer: Trainer, output: Path, work: Path) -> str:
    """Move the model's files from `output` to the work folder; returns the digest of
    the weights. Raises StageFailed if there is no model, or it is incomplete, damaged
    or not finite."""
    try:
        _check(trainer.name, output)
        if (output / ADAPTER).is_file():
            _name_base(output / ADAPTER, trainer.base)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageFailed(
            f"the command {trainer.name} wrote a model that cannot be read: "
            f"{type(error).__name__}: {error}; mend what it writes to {{output}}"
        ) from error
    for pattern in KEPT:
        for path in sorted(output.glob(pattern)):
            if path.is_file():
                shutil.copy2(path, work / path.name)  # what a link points to
                path.unlink()
    return weights_digest(work)


def _check(name: str, output: Path) -> None:
    if (output / ADAPTER).is_file():
        json.loads((output / ADAPTER).read_bytes())["peft_type"]
        files = [output / ADAPTERS_WEIGHTS]
    elif (output / CONFIG).is_file():
        json.loads((output / CONFIG).read_bytes())
        if not any((output / one).is_file() for one in TOKENIZERS):
            raise StageFailed(
                f"the command {name} wrote a whole model without its tokenizer; let it "
                "call tokenizer.save_pretrained, too"
            )
        files = sorted(output.glob("*.safetensors")) or [output / "model.safetensors"]
        if (output / INDEX).is_file():
            shards = json.loads((output / INDEX).read_bytes())["weight_map"].values()
            files = [output / shard for shard in sorted({*shards})]
    else:
        found = sorted(path.name for path in output.iterdir())
        raise StageFailed(
            f"the command {name} ended well, but its {{output}} holds no model: "
            f"neither {ADAPTER} nor {CONFIG}"
            + (f", only {', '.join(found[:5])}" if found else "; it is empty")
            + "; let it write there what save_pretrained writes"
        )
    for file in files:
        if not _tensors(file):
            raise ValueError(f"{file.name} holds no weights")
        for tensor in _not_finite(file):
            raise StageFailed(
                f"the command {name} wrote weights that are not finite "
                f"({file.name}: {tensor}): the training diverged; lower its learning "
                "rate"
            )


def _tensors(file: Path) -> list[str]:
    """The names of a file's tensors. Raises OSError or ValueError if the file is
    missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:  # which checks that it is complete
            return list(opened.keys())
    except SafetensorError as error:
        raise ValueError(f"{file.name}: {error}") from error


def _not_finite(file: Path) -> Iterator[str]:
    """The names of a whole file's tensors that hold an infinite value or no number."""
    data = np.memmap(file, np.uint8, "r")
    begin = 8 + int(data[:8].view("<u8")[0])
    header: dict[str, Any] = json.loads(bytes(data[8:begin]))
    for name, about in header.items():
        kind, bits = EXPONENTS.get(about.get("dtype", ""), ("", 0))
        if not kind:
            continue
        start, end = about["data_offsets"]
        values = data[begin + start : begin + end].view(kind)
        if np.any((values & bits) == bits):
            yield name


def _name_base(file: Path, base: str) -> None:
    """Write the base model's name into an adapter's configuration, where the command
    left a path of this machine."""
    config = json.loads(file.read_bytes())
    config["base_model_name_or_path"] = base
    file.write_text(json.dumps(config, indent=2) + "\n")
