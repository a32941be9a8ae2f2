"""Tables of metrics that fit a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from motools_build.report.estimates import Column

Shown = tuple[str, str]
"""A cell: the value, and of how many answers it is."""

WHOLE, TITLED, LISTED = WIDTHS = range(3)
"""How a table is made to fit: as it is; with its only base model in the title; and with
a line for each metric of a model."""


def metrics_table(
    title: str,
    headings: Sequence[str],
    models: Sequence[Sequence[str]],
    cells: Mapping[Column, Sequence[Shown]],
    width: int,
) -> Any:
    """A rich table: of each model what it is, under the headings, and its cells."""
    from motools_build.report.results import plain_table

    table = plain_table(title=title)
    if width == LISTED:
        table.add_column(", ".join(headings), overflow="fold")
        _list(table, models, cells)
        return table
    for heading in headings:
        table.add_column(heading)
    texts = []
    for column, of_column in cells.items():
        # how many answers were scored stands in the heading if it is the same for all
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
    """Print a table, the first that is no wider than the terminal, or the narrowest."""
    for width in WIDTHS:
        table = build(width)
        if fits(table, console):
            break
    console.print(table)


def fits(table: Any, console: Any) -> bool:
    """Whether a table needs no more columns than the terminal has."""
    as_wide_as_it_likes = console.options.update(max_width=10**6)
    needed = console.measure(table, options=as_wide_as_it_likes).maximum
    return bool(needed <= console.width)
