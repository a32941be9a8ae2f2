"""What planning needs to know of models that torch trains on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from motools_build.backends.local.folders import (
    COMMIT,
    REPOSITORY,
    commit_of,
    digest,
    is_folder,
)
from motools_build.backends.local.table import Table
from motools_build.errors import InputError
from motools_build.keys import Digest, DigestMemo
from motools_build.specs.backends import BackendFacts
from motools_build.specs.dataset import Dataset
from motools_build.specs.training import Options, held_out_rows


class Local(Options):
    """Options of a training by torch, transformers and peft."""

    adapter: Literal["lora", "qlora", "full"] = "lora"
    """`lora` trains a low-rank adapter; `qlora` the same, with the base model in 4 bits
    while it trains (CUDA only; needs bitsandbytes); `full` all weights."""
    rank: int = Field(default=16, ge=1, le=1024)
    alpha: float = Field(default=32, gt=0)
    """The adapter's product is scaled by alpha / rank, or with `rslora` by
    alpha / sqrt(rank)."""
    dropout: float = Field(default=0, ge=0, lt=1)
    """Dropout on the adapter's inputs while training."""
    targets: str = "all-linear"
    """The layers with an adapter: `all-linear`, or names separated by commas, as
    `q_proj,v_proj`."""
    rslora: bool = False
    learning_rate: float = Field(default=2e-4, gt=0)
    """The peak learning rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """The learning rate after the warm-up: it decays to 0, or stays."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """The part of the steps in which the learning rate rises linearly."""
    weight_decay: float = Field(default=0, ge=0)
    """AdamW's weight decay, on matrices only."""
    clip: float = Field(default=1, gt=0)
    """Largest norm of a step's gradient."""
    beta: float = Field(default=0.1, gt=0)
    """For method="dpo" only: how close the model stays to the base model."""
    max_length: int = Field(default=1024, ge=8)
    """Largest number of tokens in a row."""
    cut: bool = False
    """Whether a longer row is cut after `max_length` tokens; else it is refused."""
    dtype: Literal["auto", "bf16", "fp32"] = "auto"
    """The number format of the base weights: `auto` is bf16 on a GPU that has it, else
    fp32. The record says which it was."""
    template: str = ""
    """A chat template (Jinja) that replaces the model's own."""
    validation: str | Dataset = ""
    """Held-out rows: a JSONL file, or a dataset such as `rows.split(0.9)[1]`. The loss
    on them after each epoch is recorded. The rows' bytes enter the key."""
    keep_epochs: bool = False
    """Whether the adapter after each epoch is kept, for `Eval(checkpoint=...)`."""

    def check(self, method: str) -> None:
        if method != "dpo" and self.beta != DEFAULT["beta"]:
            raise InputError("training.local.beta: only method='dpo' has one")
        if self.adapter == "full" and self.keep_epochs:
            raise InputError(
                "training.local.keep_epochs: adapter='full' keeps no checkpoints, "
                "since those of all weights would fill the disk; leave it out"
            )
        for name in ("rank", "alpha", "dropout", "targets", "rslora"):
            if self.adapter == "full" and getattr(self, name) != DEFAULT[name]:
                raise InputError(f"training.local.{name}: adapter='full' has none")

    def identity(self) -> dict[str, Any]:
        return self.model_dump(
            mode="json", exclude_defaults=True, exclude={"validation"}
        )

    def held_out(self) -> Dataset | None:
        return held_out_rows(self.validation)


DEFAULT = {name: field.default for name, field in Local.model_fields.items()}


@dataclass(frozen=True)
class LocalFacts(BackendFacts):
    """Models are folders, or repositories of the Hugging Face hub at a commit."""

    def model_problem(self, model: str) -> str | None:
        """A folder begins with `./`, `../` or `/`; any other name is a repository."""
        if is_folder(model):
            return None
        repository, _, commit = model.partition("@")
        if not REPOSITORY.fullmatch(repository):
            return (
                f"{model!r} is neither a folder, local/./path/to/folder, nor a "
                "repository of the Hugging Face hub, local/ORGANIZATION/NAME@COMMIT"
            )
        if COMMIT.fullmatch(commit):
            return None
        known = commit_of(repository, commit or "main")
        found = known or "COMMIT"
        where = (
            ""
            if known
            else f" (the commit is in the output of `hf download {repository}`)"
        )
        return (
            f"{repository} changes at the hub, so that {model!r} may be another model "
            f"tomorrow; name a commit: local/{repository}@{found}{where}"
        )

    def pinned(self, model: str, memo: DigestMemo) -> Digest:
        """The digest of a folder's files; for a repository, its commit."""
        return digest(model, memo)

    def short_of(self, model: str) -> str:
        """The last part of the name, without the commit."""
        last = model.partition("@")[0].rstrip("/").rsplit("/", 1)[-1]
        return re.sub(r"[^A-Za-z0-9._-]", "-", last) or "model"


BACKEND = LocalFacts(
    name="local",
    effects="motools_build.backends.local.backend:LocalBackend",
    version=2,  # 1 read special tokens that messages spell out as such
    methods=("sft", "dpo"),
    options=Local,
    table=Table,
    on_disk=True,
    checkpoints=True,
)
