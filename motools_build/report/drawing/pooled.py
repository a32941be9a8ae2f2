"""Formats means over what is not named, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from motools_build.report.drawing.console import console_of
from motools_build.report.drawing.fitting import metrics_table, print_fitting
from motools_build.report.estimates import Column
from motools_build.report.pooled import BOTH, QUESTIONS, Pooled, PooledTable

OVER = {
    BOTH: "[low, high]: 95 %, over new seeds and questions, of these datasets, models "
    "and trainings",
    QUESTIONS: "[low, high]: 95 %, over new questions, of these models only",
}
"""What an interval is over -> the legend."""

EACH = (
    "a group: the seeds of one arm, dataset, model and training; a mean of several "
    "groups weighs each the same"
)


def print_pooled(table: PooledTable, stream: Any) -> None:
    """Print the table of means and its legend."""
    console = console_of(stream)
    if table.means:
        print_fitting(partial(pooled_table, table), console)
    for line in lines_below_pooled(table):
        console.print(line)


def pooled_table(table: PooledTable, width: int) -> Any:
    """A rich table with a row for each group; `width` is one of `WIDTHS`."""
    by_group: dict[tuple[Any, ...], dict[Column, Pooled]] = {}
    for mean in table.means:
        by_group.setdefault(tuple(mean.named.values()), {})[mean.column] = mean
    groups = [
        [*map(_text, values), "/".join(sorted({_seeds(one) for one in of.values()}))]
        for values, of in by_group.items()
    ]
    every = dict.fromkeys(mean.column for mean in table.means)
    cells = {
        column: [_cell(of.get(column)) for of in by_group.values()] for column in every
    }
    title = f"{table.setting}: mean by {', '.join(table.by) or 'eval'}"
    return metrics_table(title, [*table.by, "seeds"], groups, cells, width)


def lines_below_pooled(table: PooledTable) -> Iterator[str]:
    """What the intervals are over, and a line for each mean that lacks seeds."""
    if not table.means:
        yield f"{table.setting} has no fine-tuned models with evals"
    over = {mean.over for mean in table.means}
    yield from (line for word, line in OVER.items() if word in over)
    if any(mean.pooled > 1 for mean in table.means):
        yield EACH
    for mean in table.means:
        if mean.status != "ok":
            values = ", ".join(map(_text, mean.named.values()))
            metric = " ".join(filter(None, mean.column))
            some = f"of {mean.seeds} of {mean.of} seeds"
            yield f"{some}: {values}: {metric}: {mean.status}"
    yield from (f"accepted {line}" for line in table.accepted)


def _text(value: Any) -> str:
    return "-" if value in (None, "") else str(value)


def _cell(mean: Pooled | None) -> tuple[str, str]:
    if mean is None:
        return "", ""
    if mean.estimate.value is None:
        return mean.status, ""
    return str(mean.estimate), mean.estimate.count


def _seeds(mean: Pooled) -> str:
    """`3`, `2 of 3`; of several groups of seeds `6 (2 groups)`."""
    some = f"{mean.seeds}" + (f" of {mean.of}" if mean.seeds < mean.of else "")
    return some + (f" ({mean.pooled} groups)" if mean.pooled > 1 else "")
