"""The table of a setting's results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from motools_build.planning.plan import Cell, Plan
from motools_build.report.estimates import Estimates, columns
from motools_build.report.failures import of_one_reason
from motools_build.report.outcomes import noticed, told
from motools_build.report.paid_jobs import payment
from motools_build.report.tables import WHOLE
from motools_build.running.effects import ENDED, ended
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record
from motools_build.store.state import UNFINISHED
from motools_build.text import hints
from motools_build.text.visible import shown

Status = Literal["ok", "stale", "running", "failed", "missing"]

Older = Mapping[str, list[str]]
"""Stage name -> the keys that it stood for in earlier runs, oldest first."""


@dataclass(frozen=True)
class Result:
    """A cell and what is known of it."""

    cell: Cell
    status: Status
    record: Record | None
    """Of the present key if the status is ok; of an older key if it is stale."""
    note: str = ""
    """Why it is not ok, or what else to know."""
    folder: Path | None = None
    """Where the payload of the present key lies."""

    def as_json(self, estimates: Estimates) -> dict[str, Any]:
        cell = self.cell
        seeds = None if cell.seed is None else 1
        return {
            "arm": cell.arm,
            "dataset": cell.dataset,
            "model": cell.model,
            "training": cell.training,
            "seed": cell.seed,
            "replicate": cell.replicate,
            "eval": cell.eval,
            "stage": cell.stage.name,
            "key": cell.stage.key,
            "status": self.status,
            "note": self.note,
            # values of another key are not results of this cell
            "scores": self.record.details["scores"]
            if self.record and self.status == "ok"
            else None,
            "estimates": [
                {
                    "scorer": scorer,
                    "metric": metric,
                    **estimates.of(self, scorer, metric).as_json(),
                    "seeds": seeds,
                    "status": self.status,
                }
                for _, scorer, metric in columns([self])
                if self.record and self.status == "ok"
            ],
            # what the scores alone do not say: answers without a number, limits
            "noticed": list(noticed(self.record.details))
            if self.record and self.status == "ok"
            else [],
        }


def results(plan: Plan, store: ArtifactStore) -> list[Result]:
    """One result a cell, in the plan's order."""
    older = store.runs.older_keys()
    return [_result(cell, store, older) for cell in plan.cells]


def _result(cell: Cell, store: ArtifactStore, older: Older) -> Result:
    stage = cell.stage
    status, note = status_of(stage, store, older)
    if status == "ok":
        return Result(cell, status, store.get(stage), note, store.folder(stage))
    record = store.get(stage) or _older(stage, store, older)
    return Result(cell, status, record if status == "stale" else None, note)


def status_of(stage: Stage, store: ArtifactStore, older: Older) -> tuple[Status, str]:
    """A stage's status, and why it is not ok or what else to know.

    Stale: an artifact of an older key, or of other weights, is there. Failed: it, or
    what it needs, failed and has not succeeded since.
    """
    reason = store.why_stale(stage)
    if reason is None:
        gone = [used.name for used in stage.upstream if store.get(used) is None]
        if gone:
            return "ok", "the model is gone; its result stays valid"
        return "ok", _undeclared(store.get(stage))
    needed = [used for used in _needed(stage) if store.why_stale(used)]
    for used in (stage, *needed):
        if store.locks.taken(used.key):
            return "running", f"{used.name} is being made"
    for used in (stage, *needed):
        paid = store.states.paid(used.key) if used.at_provider else None
        if paid and paid.phase in UNFINISHED:
            where = f"{paid.id} of account {paid.account}" if paid.id else "a request"
            return "running", f"{where} is under way for {used.name}"
    for used in (stage, *needed):
        failure = store.states.failure(used.key)
        if failure:
            name = "" if used is stage else f"{used.name}: "
            return "failed", name + failure.message
    for used in (stage, *needed):
        paid = payment(used, store)
        if paid and paid.phase in ENDED:
            return "failed", str(ended(paid))
    if store.get(stage):  # whole, but of a model with other weights
        return "stale", reason
    if _older(stage, store, older):
        return "stale", "its inputs changed since"
    return "missing", reason


def _undeclared(record: Record | None) -> str:
    """What to know of a task that is not what its key says."""
    differs: dict[str, str] = record.details.get("undeclared", {}) if record else {}
    if not differs:
        return ""
    other = next(iter(differs.values()))
    return (
        f"its {', '.join(differs)} are not those of {other}, though nothing in their "
        "keys says why: declare what the task reads, Eval(data=[...])"
    )


def _older(stage: Stage, store: ArtifactStore, older: Older) -> Record | None:
    """The latest artifact that the stage's name stood for under another key."""
    for key in reversed(older.get(stage.name, [])):
        record = store.by_key(stage.kind, stage.backend, key)
        if record and key != stage.key:
            return record
    return None


def _needed(stage: Stage) -> Iterator[Stage]:
    """All that must be made before the stage can be."""
    for used in (*stage.setup, *stage.upstream):
        yield from _needed(used)
        yield used


def rows(found: list[Result]) -> Iterator[tuple[Cell, dict[str, Result]]]:
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


def parts_shown(cells: Sequence[Cell], width: int) -> tuple[list[str], str]:
    """The columns that say which model it is, arm and training only where there are
    any; and the base model, where it is the only one and has no column."""
    models = {cell.model for cell in cells}
    needed = {
        "arm": any(cell.arm for cell in cells),
        "dataset": True,
        "model": len(models) > 1 or width == WHOLE,
        "training": any(cell.training for cell in cells),
    }
    parts = [part for part, is_needed in needed.items() if is_needed]
    return parts, "" if needed["model"] else min(models)


def draw_shown(cell: Cell) -> str:
    """The seed, and which replicate of it: `0`, `0 r1`."""
    if cell.seed is None:
        return "-"
    return f"{cell.seed} r{cell.replicate}" if cell.replicate else str(cell.seed)


def print_results(
    session: Any, name: str, stream: Any, most: int | None = None
) -> None:
    """Print the table of a setting, and where its transcripts are; of more than
    `most` models the first, and how to see the rest."""
    from motools_build.report.each import print_models
    from motools_build.report.means import print_means

    found = results(session.plan(name), session.store)
    console = console_of(stream)
    if not found:
        console.print(f"{name} has no evals")
        return
    estimates = Estimates(found)
    models = list(rows(found))
    print_models(name, found, estimates, console, most)
    print_means(found, estimates, console, most)
    if most is not None and len(models) > most:
        more = len(models) - most
        console.print(f"... and {more} more: {hints.command('results', name)}")
        found = [r for _, by_eval in models[:most] for r in by_eval.values()]
    notes = {r.cell.stage.name: r.note for r in found if r.status == "failed"}
    for line in of_one_reason(notes):
        console.print(f"failed   {line}")
    for result in found:
        if result.status != "failed" and (result.status != "ok" or result.note):
            first = (result.note.splitlines() or [""])[0]
            console.print(f"{result.status:8} {result.cell.stage.name}: {first}")
        for line in told(result.record.details["scores"]) if result.record else ():
            console.print(f"counts   {result.cell.stage.name}: {line}")
        for line in noticed(result.record.details) if result.record else ():
            console.print(f"note     {result.cell.stage.name}: {line}")
    for stage, problem in estimates.problems.items():
        console.print(f"damaged  {stage}: {problem}")
    if any(r.record and "log" in r.record.details for r in found):
        root = session.store.root
        console.print(f"transcripts: inspect view --log-dir {root}/")


def console_of(stream: Any) -> Any:
    """A rich console on a stream. A pipe has no width: a table gets what it needs."""
    from rich.console import Console
    from rich.text import Text

    class Shown(Console):
        """Cells, titles and lines as a person may see them."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(shown(text), **options)

    terminal = bool(getattr(stream, "isatty", lambda: False)())
    # what is printed are names and messages, whose brackets mean nothing to rich
    return Shown(
        file=stream,
        width=None if terminal else 200,
        highlight=False,
        markup=False,
        emoji=False,
    )


def plain_table(*headings: str, title: str | None = None) -> Any:
    """An empty rich table."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table
