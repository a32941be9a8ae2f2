"""The table of a setting's results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from motools_build.plan import Cell, Plan
from motools_build.records import Record
from motools_build.stages import Stage
from motools_build.store import ArtifactStore

Status = Literal["ok", "stale", "failed", "missing"]


@dataclass(frozen=True)
class Result:
    """A cell and what is known of it."""

    cell: Cell
    status: Status
    record: Record | None
    """Of the present key if the status is ok; of an older key if it is stale."""
    note: str = ""
    """Why it is not ok, or what else to know."""

    def as_json(self) -> dict[str, Any]:
        cell = self.cell
        return {
            "dataset": cell.dataset,
            "model": cell.model,
            "seed": cell.seed,
            "eval": cell.eval,
            "stage": cell.stage.name,
            "key": cell.stage.key,
            "status": self.status,
            "note": self.note,
            # values of another key are not results of this cell
            "scores": self.record.details["scores"]
            if self.record and self.status == "ok"
            else None,
        }


def results(plan: Plan, store: ArtifactStore) -> list[Result]:
    """One result a cell, in the plan's order."""
    older: dict[str, list[str]] = {}
    if any(store.why_stale(cell.stage) for cell in plan.cells):
        for run in store.runs():
            for name, key in run["stages"].items():
                older.setdefault(name, []).append(key)
    return [_result(cell, store, older) for cell in plan.cells]


def _result(cell: Cell, store: ArtifactStore, older: Mapping[str, list[str]]) -> Result:
    stage = cell.stage
    reason = store.why_stale(stage)
    if reason is None:
        gone = [used.name for used in stage.upstream if store.get(used) is None]
        note = "the model is gone; its result stays valid" if gone else ""
        return Result(cell, "ok", store.get(stage), note)
    failed = store.failure(stage)
    if failed:
        return Result(cell, "failed", None, failed.message)
    for used in _needed(stage):
        failed = store.failure(used)
        if failed and store.why_stale(used):
            return Result(cell, "failed", None, f"{used.name}: {failed.message}")
    present = store.get(stage)
    if present:  # whole, but of a model with other weights
        return Result(cell, "stale", present, reason)
    for key in reversed(older.get(stage.name, [])):
        if key != stage.key:
            record = store.by_key("eval", stage.backend, key)
            if record:
                return Result(cell, "stale", record, "its inputs changed since")
    return Result(cell, "missing", None, reason)


def _needed(stage: Stage) -> Iterator[Stage]:
    """All that must be made before the stage can be."""
    for used in (*stage.setup, *stage.upstream):
        yield from _needed(used)
        yield used


def columns(found: list[Result]) -> list[tuple[str, str, str]]:
    """(eval, scorer, metric) of every metric, without the standard errors."""
    seen: dict[tuple[str, str, str], None] = {}
    for result in found:
        if result.record:
            for scorer, metrics in result.record.details["scores"].items():
                for metric in metrics:
                    if metric not in ("stderr", "n", "unscored"):
                        seen[result.cell.eval, scorer, metric] = None
    return list(seen)


def value(record: Record, scorer: str, metric: str) -> str:
    """`0.950 ± 0.035`; a dash where the scorer could not say."""
    metrics = record.details["scores"].get(scorer, {})
    number = metrics.get(metric)
    if number is None:
        return "-"
    error = metrics.get("stderr")
    text = f"{number:.3f}" if error is None else f"{number:.3f} ± {error:.3f}"
    unscored = metrics.get("unscored")
    return f"{text} ({unscored} unscored)" if unscored else text


def rows(found: list[Result]) -> Iterator[tuple[Cell, dict[str, Result]]]:
    """Results by model: the first cell of each, and its result for each eval."""
    by_model: dict[tuple[str, str, int | None], dict[str, Result]] = {}
    for result in found:
        cell = result.cell
        model = by_model.setdefault((cell.dataset, cell.model, cell.seed), {})
        model[cell.eval] = result
    for results_of in by_model.values():
        yield next(iter(results_of.values())).cell, results_of


def print_results(session: Any, name: str, stream: Any) -> None:
    """Print the table of a setting, and where its transcripts are."""
    from rich.console import Console
    from rich.table import Table

    found = results(session.plan(name), session.store)
    terminal = bool(getattr(stream, "isatty", lambda: False)())
    # a pipe has no width: give a table the room that it needs
    console = Console(file=stream, width=None if terminal else 200, highlight=False)
    if not found:
        console.print(f"{name} has no evals")
        return
    table = Table(title=name, title_justify="left", title_style="bold")
    for heading in ("dataset", "model", "seed"):
        table.add_column(heading)
    metrics = columns(found)
    for an_eval, scorer, metric in metrics:
        table.add_column(f"{an_eval}\n{scorer}\n{metric}", justify="right")
    table.add_column("n", justify="right")
    for cell, by_eval in rows(found):
        cells = [
            _shown(by_eval.get(e), scorer, metric) for e, scorer, metric in metrics
        ]
        counts = {
            r.record.details["samples"]
            for r in by_eval.values()
            if r.record is not None
        }
        table.add_row(
            cell.dataset,
            cell.model,
            "-" if cell.seed is None else str(cell.seed),
            *cells,
            "/".join(map(str, sorted(counts))) or "-",
        )
    console.print(table)
    for result in found:
        if result.status != "ok" or result.note:
            first = result.note.splitlines()[0]
            console.print(f"{result.status:8} {result.cell.stage.name}: {first}")
    if any(r.record and "log" in r.record.details for r in found):
        root = session.store.root
        console.print(f"transcripts: inspect view --log-dir {root}/")


def _shown(result: Result | None, scorer: str, metric: str) -> str:
    if result is None:
        return ""
    if result.record is None:
        return result.status
    text = value(result.record, scorer, metric)
    return text if result.status == "ok" else f"{result.status} (was {text})"
