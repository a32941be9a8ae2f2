"""The results of a setting: one for each eval of each of its models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from motools_build.planning.plan import Cell, Plan
from motools_build.report.status import Statuses, Word
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record


@dataclass(frozen=True)
class Result:
    """A cell of a setting's plan, with its status and record."""

    cell: Cell
    status: Word
    record: Record | None
    """The eval's record: of the present key if the status is `ok`, of an older artifact
    if it is `stale`, else None."""
    note: str = ""
    """Why the status is not `ok`; if it is `ok`, a remark, or empty."""
    folder: Path | None = None
    """The folder with the eval's payload if the status is `ok`, else None."""
    model: str = ""
    """Identity of the fine-tuned model that answered, such as a digest of its weights;
    empty if it is not known, for a base model, and if the status is not `ok`."""


def results(
    plan: Plan, store: ArtifactStore, statuses: Statuses | None = None
) -> list[Result]:
    """A result for each cell, in the plan's order."""
    statuses = statuses or Statuses(store)
    return [_result(cell, store, statuses) for cell in plan.cells]


def _result(cell: Cell, store: ArtifactStore, statuses: Statuses) -> Result:
    status = statuses.of(cell.stage)
    folder = store.materialise(cell.stage) if status.word == "ok" else None
    model = ""
    if status.word == "ok" and status.record and cell.seed is not None:
        model = _model_of(cell.stage, status.record, store)
    return Result(cell, status.word, status.record, status.why, folder, model)


def _model_of(stage: Stage, record: Record, store: ArtifactStore) -> str:
    """The output of the model that an eval's record was made with; empty if it is not
    known. Scores made apart from the answers name the answers, whose record names the
    model."""
    for used in stage.upstream:
        if used.kind == "model":
            return record.inputs.get(used.key, "")
        answers = store.get(used) if used.kind == "samples" else None
        if answers is not None:
            return _model_of(used, answers, store)
    return ""


def rows(found: Iterable[Result]) -> Iterator[tuple[Cell, dict[str, Result]]]:
    """For each model, which is one row of a table: its first cell, and a mapping from
    eval to result."""
    by_model: dict[tuple[str, ...], dict[str, Result]] = {}
    for result in found:
        cell = result.cell
        model = by_model.setdefault((*named_parts(cell), draw_shown(cell)), {})
        model[cell.eval] = result
    for results_of in by_model.values():
        yield next(iter(results_of.values())).cell, results_of


def named_parts(cell: Cell) -> tuple[str, str, str, str]:
    """Arm, dataset, model and training, which all seeds of a model share."""
    return cell.arm, cell.dataset, cell.model, cell.training


def draw_shown(cell: Cell) -> str:
    """The seed and the number of the replicate, such as `0` or `0 r1`; `-` for a base
    model."""
    if cell.seed is None:
        return "-"
    return f"{cell.seed} r{cell.replicate}" if cell.replicate else str(cell.seed)
