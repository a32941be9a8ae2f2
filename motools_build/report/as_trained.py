"""Rows of datasets as models are trained on them: `doit datasets --show N`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from motools_build.backends import registry
from motools_build.backends.base import Piece
from motools_build.data.rows.checks import read_rows
from motools_build.errors import DatasetError, MotoolsError
from motools_build.params import ModelParams
from motools_build.running.learned import rows_of
from motools_build.specs import ModelName
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore


@dataclass(frozen=True)
class AsTrained:
    """A row of a dataset, as one model is trained on it."""

    dataset: str
    model: str
    row: int
    """The row's number, counted from 1."""
    chats: list[list[Piece]]
    """One chat for SFT; for DPO the preferred and the other."""


def as_trained(
    store: ArtifactStore, stages: Iterable[Stage], number: int
) -> Iterator[AsTrained]:
    """Row `number` of each dataset, for each model and way of training. Raises
    DatasetError if there is no such row, and InputError if it cannot be learned from or
    shown."""
    seen = set()
    for stage in stages:
        if stage.kind != "model":
            continue
        params, rows = ModelParams.of(stage), rows_of(stage, store)
        about = params.dataset_name, params.model, str(params.recipe)
        if about in seen or rows is None or not Path(rows.path).exists():
            continue
        seen.add(about)
        found = read_rows(rows.path, format=params.recipe.method)
        if not 1 <= number <= len(found):
            raise DatasetError(
                f"--show {number}: {rows.path} has the rows 1 to {len(found)}"
            )
        name = ModelName.parse(params.model)
        backend = registry.get(name.backend)
        try:
            chats = backend.as_trained(name.model, params.recipe, found[number - 1])
        except MotoolsError as error:
            raise type(error)(f"{rows.path}: row {number}: {error}") from error
        yield AsTrained(params.dataset_name, params.model, number, chats)
