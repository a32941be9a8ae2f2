"""A setting's results as Markdown or LaTeX, for a paper or an issue: the same tables as
on a terminal, with the same numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tabulate import tabulate

from motools_build.report.comparisons import Compared
from motools_build.report.drawing.differences import differences_tables, lines_below
from motools_build.report.drawing.fitting import TITLED
from motools_build.report.drawing.pooled import lines_below_pooled, pooled_table
from motools_build.report.drawing.results import (
    has_means,
    legend_of_means,
    legend_of_models,
    means_table,
    models_table,
    notes,
)
from motools_build.report.pooled import PooledTable
from motools_build.report.table import Table

STYLES = {"md": "pipe", "latex": "latex_booktabs"}
"""Form, as functions here take it -> the name of tabulate's format."""


def written(table: Table, form: str) -> str:
    """The tables of models and of means over seeds, and a line for each result that is
    not up to date or has a remark."""
    if not table.results:
        return _said([f"{table.setting} has no evals"], form)
    parts = [_table(models_table(table, TITLED), form)]
    parts.append(_said(legend_of_models(table), form))
    if has_means(table):
        parts.append(_table(means_table(table, TITLED), form))
        parts.append(_said(legend_of_means(table), form))
    return "\n\n".join(filter(None, [*parts, _said(notes(table), form)]))


def differences_written(of: Compared, form: str) -> str:
    """A table of the differences between groups for each metric, and the lines below
    it."""
    tables = [_table(one, form) for one in differences_tables(of.setting, of.found)]
    return "\n\n".join([*tables, _said(lines_below(of), form)])


def pooled_written(of: PooledTable, form: str) -> str:
    """The table of means over what is not named, and the lines below it."""
    tables = [_table(pooled_table(of, TITLED), form)] if of.means else []
    return "\n\n".join([*tables, _said(lines_below_pooled(of), form)])


def _table(table: Any, form: str) -> str:
    """A rich table; its title is a line above it, in LaTeX a comment."""
    heads = [" ".join(str(column.header).split()) for column in table.columns]
    rows = [
        [_escaped(str(cell), form) for cell in row]
        for row in zip(*(column.cells for column in table.columns), strict=True)
    ]
    sides = ["right" if c.justify == "right" else "left" for c in table.columns]
    body = tabulate(
        rows,
        [_escaped(head, form) for head in heads],
        tablefmt=STYLES[form],
        disable_numparse=True,
        colalign=sides,
    )
    title = str(table.title)
    return f"% {title}\n{body}" if form == "latex" else f"**{title}**\n\n{body}"


def _escaped(text: str, form: str) -> str:
    """A cell in Markdown, where a bar would end it; tabulate itself escapes LaTeX."""
    return text.replace("|", "\\|") if form == "md" else text


def _said(lines: Iterable[str], form: str) -> str:
    """Lines below a table: a list, or comments."""
    return "\n".join(_marked(lines, "% " if form == "latex" else "- "))


def _marked(lines: Iterable[str], mark: str) -> Iterator[str]:
    for line in lines:
        yield from (mark + part for part in line.splitlines())
