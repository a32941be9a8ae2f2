"""Tables of metrics that fit the width of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from motools_build.report.drawing.console import fits, plain_table
from motools_build.report.drawing.lines import drawn
from motools_build.report.estimates import Column

Shown = tuple[str, str]
"""A cell: the value, and the number of answers behind it, such as `30/32`; empty texts
if there are none."""

WHOLE, TITLED, LISTED = WIDTHS = range(3)
"""Layouts of a table, each narrower than the one before. `WHOLE` has all columns;
`TITLED` has the only base model in the title instead of a column; `LISTED` has a line
for each metric of a model."""


def metrics_table(
    title: str,
    headings: Sequence[str],
    models: Sequence[Sequence[str]],
    cells: Mapping[Column, Sequence[Shown]],
    width: int,
) -> Any:
    """A rich table with a row for each model: its parts under the headings, then its
    cells. `cells` maps each column to one cell for each model; `width` is one of
    `WIDTHS`."""
    table = plain_table(title=title)
    if width == LISTED:
        table.add_column(", ".join(headings), overflow="fold")
        _list(table, models, cells)
        return table
    for heading in headings:
        table.add_column(heading)
    texts = []
    for column, of_column in cells.items():
        # a number of answers that all models share is shown once, in the heading
        counts = {count for _, count in of_column if count}
        same = f"n {min(counts)}" if len(counts) == 1 else ""
        heading = "\n".join(filter(None, (*column, same)))
        table.add_column(heading, justify="right")
        texts.append(
            [" ".join(filter(None, (v, "" if same else n))) for v, n in of_column]
        )
    for model, *of_model in zip(models, *texts, strict=True):
        table.add_row(*model, *of_model)
    return table


def _list(
    table: Any,
    models: Sequence[Sequence[str]],
    cells: Mapping[Column, Sequence[Shown]],
) -> None:
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    for row, model in enumerate(models):
        table.add_row(", ".join(model))
        for column, of_column in cells.items():
            value, count = of_column[row]
            if value:
                table.add_row(f"  {' '.join(filter(None, column))}", value, count)
        table.add_section()


def print_fitting(build: Callable[[int], Any], console: Any) -> None:
    """Print a table in the first layout of `WIDTHS` that fits the console, else in the
    narrowest. `build` returns the table in a layout."""
    for width in WIDTHS:
        table = build(width)
        lines = None if console.is_terminal else drawn(table, console.width)
        if lines is not None:
            console.file.write("".join(f"{line}\n" for line in lines))
            return
        if fits(table, console):
            break
    console.print(table)
