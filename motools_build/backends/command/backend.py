"""The backend `command`: runs a command of the project's own, and asks the models that
come out as those of `local`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motools_build.backends.base import Backend, planned_bytes, unedited
from motools_build.backends.command import outcome, running
from motools_build.backends.command.declared import arguments, declared
from motools_build.backends.job import Given, Made, Progress, Report, StageJob
from motools_build.backends.local import devices
from motools_build.backends.local.backend import LocalBackend
from motools_build.backends.local.table import Table
from motools_build.data.rows.checks import read_rows
from motools_build.params import ModelParams, Recipe, Trainer
from motools_build.specs import ModelName
from motools_build.stages import RESUME

INPUTS = "inputs"
"""Folder in the work folder with copies of the rows: an edit of the file while the
command runs must not change what it reads."""


KEPT = "kept"
"""Folder in the folder `RESUME` that is the command's own: `{resume}`."""


class CommandBackend(LocalBackend):
    """Makes `model` by a command, in a worker."""

    def prepare(self, job: StageJob) -> None:
        if job.kind == "model":
            devices.restrict(Table.of(job.tables).devices)
            running.check_there(_trainer(job))
        else:
            super().prepare(job)

    def work(self, job: StageJob, report: Report) -> Made:
        trainer = _trainer(job)
        base = _disk(trainer.base)
        folder = super().weights(base, job.given["base"])
        work = Path(job.work).absolute()
        with running.alone(work / RESUME, report):
            return _made(job, trainer, Path(str(folder)), work, report)

    def weights(self, model: str, base: Given | None) -> str | None:
        return super().weights(_disk(declared(model).base), base)

    def as_trained(
        self, model: str, recipe: Recipe, row: Mapping[str, Any]
    ) -> list[list[tuple[str, bool]]]:
        return Backend.as_trained(self, f"command/{model}", recipe, row)

    def export(self, payload: str, model: str, folder: Path, merge: bool) -> None:
        super().export(payload, _disk(declared(model).base), folder, merge)


def _made(
    job: StageJob, trainer: Trainer, base: Path, work: Path, report: Report
) -> Made:
    """Run the command, and take over the model that it wrote."""
    params = ModelParams.of(job)
    rows = read_rows(params.rows_path, planned_bytes(job), params.recipe.method)
    output = work / "output"
    for leftover in (output, work / INPUTS):
        shutil.rmtree(leftover, ignore_errors=True)
    output.mkdir()
    (work / RESUME / KEPT).mkdir(exist_ok=True)
    values = _values(params, base, work)
    cards = devices.reserve(
        trainer.gpus, lambda: report(Progress(0, 0, "", "waits for a GPU"))
    )
    running.run(trainer.name, arguments(trainer, values), cards, report)
    weights = outcome.taken(trainer, output, work)
    for leftover in (output, work / INPUTS, work / RESUME):
        shutil.rmtree(leftover, ignore_errors=True)
    places = {name: f"{{{name}}}" for name in _PLACES}
    return Made(
        weights,
        {
            "rows": len(rows),
            "command": " ".join(arguments(trainer, {**values, **places})),
            **({"gpus": list(cards)} if cards else {}),
        },
    )


_PLACES = ("dataset", "output", "base", "resume", "validation")
"""Placeholders that are paths of this machine, which no record holds."""


def _values(params: ModelParams, base: Path, work: Path) -> dict[str, Any]:
    """Placeholder -> its value, for `declared.arguments`."""
    recipe = params.recipe
    own = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in recipe.options.items()
    }
    values = {
        **own,
        "dataset": _copied(params.rows_path, params.rows_digest, work),
        "output": work / "output",
        "seed": params.seed,
        "base": base.absolute(),
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "method": recipe.method,
        "resume": work / RESUME / KEPT,
    }
    if params.held_out_path:
        held_out = _copied(params.held_out_path, params.held_out_digest, work)
        values["validation"] = held_out
    return values


def _copied(path: str, digest: str, work: Path) -> Path:
    copy = work / INPUTS / digest / Path(path).name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(unedited(path, digest))
    return copy


def _trainer(job: StageJob) -> Trainer:
    trainer = ModelParams.of(job).trainer
    assert trainer is not None, job.name  # the facts gave it one
    return trainer


def _disk(base: str) -> str:
    """The name of a model on the disk, without its backend."""
    return ModelName.parse(base).model
