"""The backend `local`: what it makes, and how its models are asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.backends.asking import LOGPROBS, TEMPLATE_ARGUMENTS, Answerer
from motools_build.backends.base import Backend, Piece
from motools_build.backends.job import Given, Made, Progress, Report, StageJob
from motools_build.backends.local import devices
from motools_build.backends.local.folders import (
    USED,
    digest,
    files_of,
    folder_of,
    is_folder,
)
from motools_build.backends.local.table import Table
from motools_build.errors import BaseModelError, MissingExtra
from motools_build.keys import MEMO, DigestMemo
from motools_build.params import BaseParams, ModelParams, Recipe
from motools_build.specs import ModelName

if TYPE_CHECKING:
    from inspect_ai.model import ModelAPI

MANIFEST = "files.json"
"""Payload file of a base model: name -> bytes of its files, which stay where they
are."""


class LocalBackend(Backend):
    """Makes `base` by download or of a folder, and `model` by training in a worker."""

    in_worker = frozenset({"model"})
    serves = frozenset({LOGPROBS, TEMPLATE_ARGUMENTS})

    async def make(self, job: StageJob, report: Report) -> Made:
        params = BaseParams.of(job)
        model = ModelName.parse(params.model).model
        if not is_folder(model):
            report(Progress(0, 1, "models", "fetching"))
            await asyncio.to_thread(fetch, model)
        sizes = _sizes(folder_of(model))
        (Path(job.work) / MANIFEST).write_text(json.dumps(sizes, indent=1))
        return Made(params.digest, {"files": len(sizes), "bytes": sum(sizes.values())})

    def prepare(self, job: StageJob) -> None:
        table = Table.of(job.tables)
        devices.restrict(table.devices)
        if job.kind != "model" and table.serve == "vllm":
            from motools_build.backends.local.serving.preparing import prepare

            prepare(job, table, self.weights)
            return
        from motools_build.backends.local.loading import check_installed

        check_installed()  # no tensor is made here: a forked child could not use CUDA

    def keeps(self, job: StageJob) -> str | None:
        table = Table.of(job.tables)
        if table.serve != "vllm" or table.base_url:
            return None  # each eval loads the weights itself, or nobody here does
        from motools_build.backends.local.serving.keeping import kept

        return kept(job)

    def work(self, job: StageJob, report: Report) -> Made:
        from motools_build.backends.local.training import train

        model, base = (
            ModelName.parse(ModelParams.of(job).model).model,
            job.given["base"],
        )
        folder = _unchanged(model, base)
        return train(job, folder, report, lambda: _unchanged(model, base))

    def weights(self, model: str, base: Given | None) -> str | None:
        return str(_unchanged(model, base) if base else folder_of(model))

    def answerer(self, weights: str | None, folder: str | None) -> Answerer:
        from motools_build.backends.local.answering import LocalAnswerer

        return LocalAnswerer(weights, folder)

    def at_server(
        self,
        model: str,
        weights: str | None,
        folder: str | None,
        table: Mapping[str, Any],
    ) -> ModelAPI | None:
        own = Table(**table)
        if own.serve != "vllm":
            return None
        from motools_build.backends.local.serving.asked import asked

        return asked(model, weights or str(folder_of(model)), folder, own)

    def as_trained(
        self, model: str, recipe: Recipe, row: Mapping[str, Any]
    ) -> list[list[Piece]]:
        from motools_build.backends.local.loading import check_installed, tokenizer_of

        check_installed()
        from motools_build.backends.local.examples import Reader

        tokenizer = tokenizer_of(folder_of(model))
        group = Reader(tokenizer, recipe.method, recipe.options).group(dict(row))
        return [example.pieces(tokenizer) for example in group]

    def export(self, payload: str, model: str, folder: Path, merge: bool) -> None:
        from motools_build.backends.local.exporting import export

        export(Path(payload), model, folder_of(model), folder, merge)


def fetch(model: str) -> None:
    """Download a repository's files at its commit into the hub's cache. Raises
    BaseModelError if that fails."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        from motools_build.backends.local.loading import EXTRA

        raise MissingExtra(f"{EXTRA} ({error})") from error
    repository, _, commit = model.partition("@")
    try:
        snapshot_download(repository, revision=commit, allow_patterns=list(USED))
    except Exception as error:
        raise BaseModelError(
            f"local/{model} could not be fetched: {error}; if the model is gated, ask "
            "for access on its page and log in (`hf auth login`)"
        ) from error


def _sizes(folder: Path) -> dict[str, int]:
    return {name: path.stat().st_size for name, path in files_of(folder).items()}


def _unchanged(model: str, base: Given) -> Path:
    """The model's folder. Raises BaseModelError if its files are not those that were
    planned with.

    A file whose signature (inode, size, times) is the memo's is not read, so that this
    takes no time for large models. Of a repository, whose commit is its identity, only
    the sizes are compared.
    """
    folder, payload = folder_of(model), Path(base.path)
    planned = json.loads((payload / MANIFEST).read_bytes())
    memo = DigestMemo(payload.parents[1] / MEMO)
    if _sizes(folder) != planned or digest(model, memo) != base.output:
        raise BaseModelError(
            f"{folder} was changed after this run was planned; nothing was made of it: "
            "run again"
        )
    memo.save()
    return folder
