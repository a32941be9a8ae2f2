"""Writes models to a folder that transformers and PEFT open without this package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from motools_build.backends.local.adapters import ADAPTER, TEMPLATE, loaded
from motools_build.backends.local.folders import CONFIG, files_of, is_folder
from motools_build.backends.local.loading import check_installed, model_of

OF_TOKENIZER = ("tokenizer*", "special_tokens_map.json", "added_tokens.json")
"""Patterns of a tokenizer's files. Others, as `vocab.json`, are those of tokenizers
that are no fast ones, which cannot be trained with."""


def export(payload: Path, model: str, base: Path, folder: Path, merge: bool) -> None:
    """Write a fine-tune with its tokenizer into a new folder.

    `payload` holds the adapter or the whole model, `model` is the base model's name
    and `base` its folder. With `merge`, an adapter becomes part of the weights.
    """
    folder.mkdir(parents=True)
    for pattern in OF_TOKENIZER:
        for path in base.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    for source in (base, payload):  # the fine-tune's own template, if it has one
        if (source / TEMPLATE).is_file():
            shutil.copyfile(source / TEMPLATE, folder / TEMPLATE)
    if not (payload / ADAPTER).is_file():
        for name, path in files_of(payload).items():
            shutil.copyfile(path, folder / name)
    elif merge:
        _merged(payload, base, folder)
    else:
        _adapter(payload, model, base, folder)


def _adapter(payload: Path, model: str, base: Path, folder: Path) -> None:
    """Copy an adapter, with the base model's name as PEFT looks for it."""
    for path in payload.glob("adapter_*"):
        shutil.copyfile(path, folder / path.name)
    config = json.loads((folder / ADAPTER).read_bytes())
    repository, _, commit = model.partition("@")
    if is_folder(model):
        config["base_model_name_or_path"] = str(base.resolve())
    else:
        config |= {"base_model_name_or_path": repository, "revision": commit}
    (folder / ADAPTER).write_text(json.dumps(config, indent=2) + "\n")


def _merged(payload: Path, base: Path, folder: Path) -> None:
    check_installed()
    from transformers import AutoConfig

    # in the base model's own format, which a merge in another would round twice
    dtype = AutoConfig.from_pretrained(str(base), local_files_only=True).dtype
    model = model_of(base, "cpu", dtype or "auto")
    merged = loaded(model, str(payload)).merge_and_unload()
    merged.save_pretrained(str(folder))
    assert (folder / CONFIG).is_file()
