"""Where a model of Hugging Face lies on this machine, and the identity of its files.

A folder is identified by the digests of its files, a repository of the hub by its
commit. Nothing here imports torch or asks the hub.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from motools_build.errors import BaseModelError, InputError
from motools_build.keys import Digest, DigestMemo, canonical, digest_bytes, digest_file

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
"""The ID of a repository of the hub."""

COMMIT = re.compile(r"[0-9a-f]{40}")

USED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
"""Patterns of the files that a model consists of. Code is not among them: nothing of a
repository is executed."""

CONFIG = "config.json"


def digest(model: str, memo: DigestMemo) -> Digest:
    """The identity of a model's weights, tokenizer and configuration in keys. Raises
    InputError for a folder that holds no model."""
    if not is_folder(model):
        return Digest(model.partition("@")[2])
    files = files_of(Path(model))
    if CONFIG not in files or not any(name.endswith(".safetensors") for name in files):
        raise InputError(
            f"local/{model}: the folder is no model of Hugging Face: it has no "
            f"{CONFIG} with *.safetensors beside it; save_pretrained writes both"
        )
    try:
        found = {name: memo.digest(str(path)) for name, path in files.items()}
    except OSError as error:
        raise InputError(f"local/{model}: {error}") from error
    return digest_bytes(canonical(found))


def files_of(folder: Path) -> dict[str, Path]:
    """Name -> path of the files that a model consists of. Links are followed, for the
    hub's cache consists of links."""
    found = {path.name: path for pattern in USED for path in folder.glob(pattern)}
    return {name: found[name] for name in sorted(found) if found[name].is_file()}


def folder_of(model: str) -> Path:
    """The folder of a model on this machine. Raises BaseModelError if it is not
    here."""
    if is_folder(model):
        path = Path(model)
    else:
        repository, _, commit = model.partition("@")
        path = _cache(repository) / "snapshots" / commit
    if not (path / CONFIG).is_file():
        raise BaseModelError(
            f"local/{model} is not on this machine ({path} is missing); run again to "
            "fetch it"
        )
    return path


def is_folder(model: str) -> bool:
    """Whether a model's name is the path of a folder, not a repository of the hub."""
    return model.startswith(("./", "../", "/"))


def commit_of(repository: str, branch: str) -> str | None:
    """The commit of a branch that was downloaded last; None if there is none here."""
    try:
        text = (_cache(repository) / "refs" / branch).read_text().strip()
    except (OSError, ValueError):
        return None
    return text if COMMIT.fullmatch(text) else None


def weights_digest(folder: Path) -> Digest:
    """The digest of the weights in a folder: that of the file, or of several files with
    their names."""
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return digest_file(files[0])
    return digest_bytes(canonical({file.name: digest_file(file) for file in files}))


def _cache(repository: str) -> Path:
    """The repository's folder in the hub's cache, as huggingface_hub lays it out."""
    given = os.environ.get
    home = given("HF_HOME") or f"{given('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    hub = given("HF_HUB_CACHE") or given("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    place = os.path.expandvars(os.path.expanduser(hub))
    return Path(place) / f"models--{repository.replace('/', '--')}"
