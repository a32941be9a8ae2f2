"""The results of a setting: what is known of each eval of each of its models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from motools_build.planning.plan import Cell, Plan
from motools_build.report.status import Statuses, Word
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record


@dataclass(frozen=True)
class Result:
    """A cell of a setting's plan, and what is known of it."""

    cell: Cell
    status: Word
    record: Record | None
    """Of the present key if the status is `ok`, of an older artifact if it is `stale`,
    and otherwise None."""
    note: str = ""
    """Why the status is not `ok`; if it is, what else to know."""
    folder: Path | None = None
    """Where the payload of the present key lies, if the status is `ok`."""


def results(
    plan: Plan, store: ArtifactStore, statuses: Statuses | None = None
) -> list[Result]:
    """A result for each cell, in the plan's order."""
    statuses = statuses or Statuses(store)
    return [_result(cell, store, statuses) for cell in plan.cells]


def _result(cell: Cell, store: ArtifactStore, statuses: Statuses) -> Result:
    status = statuses.of(cell.stage)
    folder = store.materialise(cell.stage) if status.word == "ok" else None
    return Result(cell, status.word, status.record, status.why, folder)


def rows(found: Iterable[Result]) -> Iterator[tuple[Cell, dict[str, Result]]]:
    """Results by model: the first cell of each, and its result for each eval."""
    by_model: dict[tuple[str, ...], dict[str, Result]] = {}
    for result in found:
        cell = result.cell
        model = by_model.setdefault((*named_parts(cell), draw_shown(cell)), {})
        model[cell.eval] = result
    for results_of in by_model.values():
        yield next(iter(results_of.values())).cell, results_of


def named_parts(cell: Cell) -> tuple[str, str, str, str]:
    """Arm, dataset, model and training: what all seeds of one of them share."""
    return cell.arm, cell.dataset, cell.model, cell.training


def draw_shown(cell: Cell) -> str:
    """The seed, and which replicate of it: `0`, `0 r1`; `-` of a base model."""
    if cell.seed is None:
        return "-"
    return f"{cell.seed} r{cell.replicate}" if cell.replicate else str(cell.seed)
