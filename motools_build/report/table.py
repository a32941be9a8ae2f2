"""A setting's results as data, for the terminal, JSON, CSV and data frames.

A `Table` is computed from a plan and the artifacts. `report.drawing` and
`report.frames` only format it, so all formats show the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from motools_build.planning.plan import Plan
from motools_build.report.declared import NO_PLAN, Standing, Word
from motools_build.report.estimates import Column, Estimate, Estimates, columns
from motools_build.report.lineage import LINEAGE, checkpoint_of
from motools_build.report.means import Mean, groups, means
from motools_build.report.off_plan import off_plan
from motools_build.report.outcomes import LOST, lost, noticed, told
from motools_build.report.results import Result, results, rows
from motools_build.store.artifacts import ArtifactStore

CELL = (
    *("setting", "arm", "dataset", "model", "training", "seed", "replicate"),
    *("checkpoint", "eval", "stage", "key", "status", "note", "declared"),
)
"""Columns of a flat row that identify the cell."""

METRIC = (
    *("scorer", "metric", "value", "low", "high", "scored", "asked", "seeds"),
    *LOST,
)
"""Columns of a flat row that describe the metric."""

FLAT = (*CELL, *METRIC, *LINEAGE)
"""Columns of a flat row."""


@dataclass(frozen=True)
class Metric:
    """One metric of a cell."""

    scorer: str
    metric: str
    estimate: Estimate
    lost: Mapping[str, int] = field(default_factory=dict)
    """Why answers have no number -> how many, as a judge counts them: `refused`."""

    def as_json(self) -> dict[str, Any]:
        return {
            "scorer": self.scorer,
            "metric": self.metric,
            **self.estimate.as_json(),
            **{name: self.lost.get(name) for name in LOST},
        }


@dataclass(frozen=True)
class Row:
    """A cell with its result and metrics."""

    result: Result
    metrics: tuple[Metric, ...] = ()
    """Empty unless the result is up to date: values of another key are not this
    cell's."""
    counted: tuple[str, ...] = ()
    """Lines that count answers without a judge's number: `aligned: 2 refused, ...`."""
    noticed: tuple[str, ...] = ()
    """Lines about what the scores do not show: answers without a number, limits."""
    declared: Word = ""
    """`planned` if the result was declared before it was made, else `exploratory`;
    empty for a setting that was never declared."""

    @classmethod
    def of(
        cls, result: Result, estimates: Estimates, standing: Standing = NO_PLAN
    ) -> Row:
        """The row of a result. Computes the intervals, so it reads the answers'
        scores."""
        details = result.record.details if result.record else None
        declared = standing.of([result])
        if details is None:
            return cls(result, declared=declared)
        found: tuple[Metric, ...] = ()
        if result.is_made:
            found = tuple(
                Metric(
                    scorer,
                    metric,
                    estimates.of(result, scorer, metric),
                    lost(details, scorer, metric),
                )
                for _, scorer, metric in columns([result])
            )
        counted = told(details["scores"], details.get("counts"))
        return cls(result, found, tuple(counted), tuple(noticed(details)), declared)

    @property
    def seeds(self) -> int | None:
        """Number of seeds behind the metrics: 1, or None for a base model."""
        return None if self.result.cell.seed is None else 1

    def as_json(self) -> dict[str, Any]:
        """The row as an item of `results` in `doit results --json`."""
        result, cell = self.result, self.result.cell
        return {
            "arm": cell.arm,
            "dataset": cell.dataset,
            "model": cell.model,
            "training": cell.training,
            "seed": cell.seed,
            "replicate": cell.replicate,
            "checkpoint": checkpoint_of(cell.stage),
            "eval": cell.eval,
            "stage": cell.stage.name,
            "key": cell.stage.key,
            "status": result.status,
            "note": result.note,
            "declared": self.declared,
            **result.lineage.as_json(),
            # values of another key are not results of this cell
            "scores": result.record.details["scores"]
            if result.record and result.is_made
            else None,
            "estimates": [
                {**one.as_json(), "seeds": self.seeds, "status": result.status}
                for one in self.metrics
            ],
            "noticed": list(self.noticed) if result.is_made else [],
        }

    def flat(self, setting: str) -> Iterator[dict[str, Any]]:
        """A flat row for each metric, with the columns `FLAT`. A cell without metrics
        has one row without a metric, so that no cell is missing from a table; and so
        has a result off the plan, which must not slip into somebody's mean."""
        told = self.as_json()
        cell = {"setting": setting, **{n: told[n] for n in CELL if n != "setting"}}
        made_from = self.result.lineage.flat()
        metrics = () if self.result.status == "off-plan" else self.metrics
        for one in metrics:
            yield {**cell, **one.as_json(), "seeds": self.seeds, **made_from}
        if not metrics:
            yield {**cell, **dict.fromkeys(METRIC), **made_from}


@dataclass(frozen=True)
class Table:
    """A setting's results, with rows and means."""

    setting: str
    results: tuple[Result, ...]
    """One for each cell, in the plan's order."""
    columns: tuple[Column, ...]
    """Eval, scorer and metric of every column."""
    rows: tuple[Row, ...]
    """One for each cell, or for the cells of the first models only."""
    means: tuple[Mean, ...]
    """Means over the seeds of each group (arm, dataset, model and training), or of the
    first groups only."""
    problems: Mapping[str, str]
    """Stage name -> why its scores cannot be read."""
    told: Sequence[str] = ()
    """Lines about what of it was declared."""
    models_left_out: int = 0
    """Number of models without rows here, if only the first were asked for."""
    groups_left_out: int = 0
    """Number of groups without means here, if only the first were asked for."""
    off_plan: tuple[Row, ...] = ()
    """Results that the setting had, and does not ask for now."""

    def as_json(self) -> dict[str, Any]:
        """What `doit results --json` prints for the setting."""
        return {
            "setting": self.setting,
            "results": [row.as_json() for row in self.rows],
            "means": [mean.as_json() for mean in self.means],
            "off_plan": [row.as_json() for row in self.off_plan],
        }

    def flat(self) -> Iterator[dict[str, Any]]:
        """A flat row for each cell and metric: the rows of the CSV and of the frame."""
        for row in (*self.rows, *self.off_plan):
            yield from row.flat(self.setting)


def table(
    plan: Plan,
    store: ArtifactStore,
    most: int | None = None,
    standing: Standing = NO_PLAN,
    with_off_plan: bool = False,
) -> Table:
    """The results of a setting. With `most`, rows and means are limited to the first
    models and groups; intervals read the scores of every answer, which is slow.
    `with_off_plan` looks up the results that it does not ask for now, too.
    """
    found = table_of(plan.setting, results(plan, store), most, standing=standing)
    return with_gone(found, off_plan(plan, store) if with_off_plan else [], standing)


def with_gone(found: Table, gone: Sequence[Result], standing: Standing) -> Table:
    """The table with the results that the setting does not ask for now."""
    own = Estimates(gone)
    rows_of = tuple(Row.of(result, own, standing) for result in gone)
    return replace(found, off_plan=rows_of, problems={**found.problems, **own.problems})


def table_of(
    setting: str,
    found: Sequence[Result],
    most: int | None = None,
    estimates: Estimates | None = None,
    standing: Standing = NO_PLAN,
) -> Table:
    """The table of results that were looked up before; `most` as for `table`.
    `estimates` are those of the results, if there are some already."""
    estimates = estimates or Estimates(found)
    models = [list(by_eval.values()) for _, by_eval in rows(found)]
    shown = found if most is None else [r for of in models[:most] for r in of]
    of_seeds = list(groups(found))
    kept = tuple(Row.of(result, estimates, standing) for result in shown)
    over_seeds = tuple(means(found, estimates, most))
    return Table(
        setting,
        tuple(found),
        tuple(columns(found)),
        kept,
        over_seeds,
        dict(estimates.problems),
        tuple(standing.told(setting, found)),
        len(models) - len(models[:most]),
        len(of_seeds) - len(of_seeds[:most]),
    )
