"""The results of a setting: one for each eval of each of its models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from motools_build.planning.plan import Cell, Plan
from motools_build.report.cells import named_parts
from motools_build.report.lineage import Lineage, lineage
from motools_build.report.scored import Place, Scored
from motools_build.report.status import Statuses, Word
from motools_build.store.accepted import Acceptance
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record


@dataclass(frozen=True)
class Result:
    """A cell of a setting's plan, with its status and record."""

    cell: Cell
    status: Word
    record: Record | None
    """The eval's record: of the present key if the status is `ok`, of an older artifact
    if it is `stale`, of the key that it had last if it is `off-plan`, else None."""
    note: str = ""
    """Why the status is not `ok`; if it is `ok`, a remark, or empty."""
    folder: Path | None = None
    """The folder with the eval's payload if the result is made, else None."""
    lineage: Lineage = field(default_factory=Lineage)
    scores: Mapping[Place, Scored] | None = None
    """The scores of its answers, if they are known without `folder`: from a lock."""
    accepted: Acceptance | None = None
    """The acceptance by which it is `ok`, with the artifact of another key; else
    None."""

    @property
    def is_made(self) -> bool:
        """Whether the record is this very result's, and not that of an older one."""
        return self.record is not None and self.status in ("ok", "off-plan")

    @property
    def keys(self) -> set[str]:
        """The key of its cell, and that of the artifact that it was accepted as."""
        own = {str(self.cell.stage.key)}
        return own | {self.accepted.of} if self.accepted else own

    @property
    def model(self) -> str:
        """Identity of the fine-tuned model that answered, such as a digest of its
        weights; empty if it is not known, for a base model, and if the status is not
        `ok`."""
        return (self.lineage.model_key and self.lineage.model_id) or ""


def results(
    plan: Plan, store: ArtifactStore, statuses: Statuses | None = None
) -> list[Result]:
    """A result for each cell, in the plan's order."""
    statuses = statuses or Statuses(store)
    return [_result(cell, store, statuses) for cell in plan.cells]


def _result(cell: Cell, store: ArtifactStore, statuses: Statuses) -> Result:
    status = statuses.of(cell.stage)
    present = status.record if status.word == "ok" else None
    folder = store.folder_of(present) if present else None
    made_from = lineage(cell.stage, present, store)
    return Result(
        *(cell, status.word, status.record, status.why, folder, made_from),
        accepted=status.accepted,
    )


def accepted_lines(found: Iterable[Result]) -> Iterator[str]:
    """How many of the results are accepted, for below a table, and a line for each act
    of a person: what was accepted, by whom and why. Nothing if none is."""
    every = list({one.cell.stage.key: one for one in found}.values())
    acts: dict[str, list[tuple[Result, Acceptance]]] = {}
    for one in every:
        if one.accepted:
            acts.setdefault(one.accepted.said, []).append((one, one.accepted))
    if not acts:
        return
    count = sum(map(len, acts.values()))
    results = f"{len(every)} result{'s' * (len(every) > 1)}"
    yield f"{count} of {results}, made under other keys: doit accept --list"
    for of_act in acts.values():
        result, first = of_act[0]
        name, more = result.cell.stage.name, len(of_act) - 1
        also = f" and {more} more" if more else ""
        under = f" (made under {first.of[:8]})" if not more else ""
        yield f"{name}{also}{first.said}{under}"


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


def draw_shown(cell: Cell) -> str:
    """The seed and the number of the replicate, such as `0` or `0 r1`; `-` for a base
    model."""
    if cell.seed is None:
        return "-"
    return f"{cell.seed} r{cell.replicate}" if cell.replicate else str(cell.seed)
