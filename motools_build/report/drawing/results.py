"""Formats a setting's results for a terminal: a table of models, a table of means over
seeds, and a line for each result that is not up to date or has a remark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from motools_build.planning.plan import Cell
from motools_build.report.drawing.console import console_of
from motools_build.report.drawing.fitting import (
    WHOLE,
    Shown,
    metrics_table,
    print_fitting,
)
from motools_build.report.estimates import Column, Estimate, rounded
from motools_build.report.failures import of_one_reason
from motools_build.report.means import Group, Mean, groups
from motools_build.report.results import Result, accepted_lines, draw_shown, rows
from motools_build.report.table import Row, Table
from motools_build.text import hints

OF_ONE = "[low, high]: 95 %, over new questions, of this model only"
"""The legend below the table of single models."""

OVER_SEEDS = (
    "[low, high]: 95 %, over new seeds and questions; with a single seed over new "
    "questions, of this model only"
)
"""The legend below the table of means."""


def print_results(table: Table, stream: Any, logs: str) -> None:
    """Print a setting's results. `logs` is the folder that has the transcripts."""
    console = console_of(stream)
    name = table.setting
    if not table.results:
        console.print(f"{name} has no evals")
        return
    print_models(table, console)
    print_means(table, console)
    if table.models_left_out:
        more = hints.command("results", name)
        console.print(f"... and {table.models_left_out} more: {more}")
    for line in notes(table):
        console.print(line)
    if any(r.record and "log" in r.record.details for r in _listed(table)):
        console.print(f"transcripts: inspect view --log-dir {logs}/")


def _listed(table: Table) -> list[Result]:
    return [row.result for row in table.rows]


def notes(table: Table) -> Iterator[str]:
    """Lines about what was declared; a line for each result that is not up to date,
    with the reason, and for each remark about one that is."""
    for line in table.told:
        yield f"plan     {line}"
    found = _listed(table)
    for line in accepted_lines(table.results):
        yield f"accepted {line}"
    notes = {r.cell.stage.name: r.note for r in found if r.status == "failed"}
    for line in of_one_reason(notes):
        yield f"failed   {line}"
    for row in table.rows:
        result, stage = row.result, row.result.cell.stage.name
        note = result.note
        if result.accepted:  # its act is told above
            note = result.note.removeprefix(result.accepted.note).removeprefix("; ")
        if result.status != "failed" and (result.status != "ok" or note):
            first = (note.splitlines() or [""])[0]
            yield f"{result.status:8} {stage}: {first}"
        for line in row.counted:
            yield f"counts   {stage}: {line}"
        for line in row.noticed:
            yield f"note     {stage}: {line}"
    if table.off_plan:
        count, name = len(table.off_plan), table.setting
        what = f"{count} result{'s' * (count > 1)} of earlier runs"
        hint = hints.command("results", name, "--csv")
        yield f"off-plan {what} that {name} does not ask for now: {hint}"
    told = {(mean.group, mean.copies): None for mean in table.means if mean.copies}
    for group, copies in told:
        yield f"note     {', '.join(filter(None, group))}: {copies}"
    for stage, problem in table.problems.items():
        yield f"damaged  {stage}: {problem}"


# ---- single models


def print_models(table: Table, console: Any) -> None:
    """Print the table of single models."""
    print_fitting(partial(models_table, table), console)
    for line in legend_of_models(table):
        console.print(line)


def legend_of_models(table: Table) -> Iterator[str]:
    """The line below the table of single models, if it has intervals."""
    every = (metric.estimate for row in table.rows for metric in row.metrics)
    if any(estimate.low is not None for estimate in every):
        yield OF_ONE


def models_table(table: Table, width: int) -> Any:
    """A rich table of each model's results; `width` is one of `WIDTHS`."""
    parts, model = _parts_shown([result.cell for result in table.results], width)
    shown = list(rows(_listed(table)))
    of_result = {id(row.result): row for row in table.rows}
    return metrics_table(
        f"{table.setting}: {model}" if model else table.setting,
        [*parts, "seed"],
        [[*(getattr(c, p) or "-" for p in parts), draw_shown(c)] for c, _ in shown],
        {
            column: [_shown(of.get(column[0]), column, of_result) for _, of in shown]
            for column in table.columns
        },
        width,
    )


def _shown(
    result: Result | None, column: Column, of_result: Mapping[int, Row]
) -> Shown:
    if result is None:
        return "", ""
    _, scorer, metric = column
    if result.record is None or result.status != "ok":
        scores = result.record.details["scores"] if result.record else {}
        was = scores.get(scorer, {}).get(metric)
        return result.status + (f" (was {rounded(was)})" if was is not None else ""), ""
    for one in of_result[id(result)].metrics:
        if (one.scorer, one.metric) == (scorer, metric):
            return str(one.estimate), one.estimate.count
    return str(Estimate()), ""


def _parts_shown(cells: Sequence[Cell], width: int) -> tuple[list[str], str]:
    """The headings that identify a model, with arm and training only if a cell has one;
    and the base model for the title, if it is the only one and has no column."""
    models = {cell.model for cell in cells}
    needed = {
        "arm": any(cell.arm for cell in cells),
        "dataset": True,
        "model": len(models) > 1 or width == WHOLE,
        "training": any(cell.training for cell in cells),
    }
    parts = [part for part, is_needed in needed.items() if is_needed]
    return parts, "" if needed["model"] else min(models)


# ---- means over seeds


def print_means(table: Table, console: Any) -> None:
    """Print the table of means; nothing if no group has several seeds."""
    if not has_means(table):
        return
    print_fitting(partial(means_table, table), console)
    if table.groups_left_out:
        console.print(f"... and {table.groups_left_out} more")
    for line in legend_of_means(table):
        console.print(line)


def legend_of_means(table: Table) -> Iterator[str]:
    """The line below the table of means, if it has intervals."""
    if any(mean.estimate.low is not None for mean in table.means):
        yield OVER_SEEDS


def has_means(table: Table) -> bool:
    """Whether a group has several seeds."""
    by_group = groups(table.results).values()
    return any(len({result.cell.seed for result in of}) > 1 for of in by_group)


def means_table(table: Table, width: int) -> Any:
    """A rich table of the means over seeds; `width` is one of `WIDTHS`."""
    parts, model = _parts_shown([result.cell for result in table.results], width)
    by_group: dict[Group, dict[Column, Mean]] = {}
    for mean in table.means:
        by_group.setdefault(mean.group, {})[mean.column] = mean
    models = []
    for group, of_group in by_group.items():
        named = dict(zip(("arm", "dataset", "model", "training"), group, strict=True))
        counts = sorted({_seeds_shown(mean) for mean in of_group.values()})
        models.append([*(named[part] for part in parts), "/".join(counts)])
    return metrics_table(
        f"mean over seeds: {model}" if model else "mean over seeds",
        [*parts, "seeds"],
        models,
        {
            column: [_mean_shown(of.get(column)) for of in by_group.values()]
            for column in dict.fromkeys(mean.column for mean in table.means)
        },
        width,
    )


def _mean_shown(mean: Mean | None) -> Shown:
    """The cell of a mean; the status of its seeds if none of them is in it."""
    if mean is None:
        return "", ""
    if not mean.seeds:
        return mean.status, ""
    return str(mean.estimate), mean.estimate.count


def _seeds_shown(mean: Mean) -> str:
    """The number of seeds in a mean: `3`, `2 of 3`, `1 (this model)`."""
    shown = f"{mean.seeds}" + (f" of {mean.of}" if mean.seeds != mean.of else "")
    if mean.seeds > mean.distinct:
        several = "s" if mean.distinct > 1 else ""
        return f"{shown} ({mean.distinct} distinct model{several})"
    return shown + (" (this model)" if mean.seeds == 1 else "")
