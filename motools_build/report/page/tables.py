"""The tables of a page. Their numbers are the texts that the terminal prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from motools_build.report.drawing.differences import (
    differences_tables,
    lines_below,
    lost_lines,
)
from motools_build.report.drawing.fitting import WHOLE
from motools_build.report.drawing.results import (
    has_means,
    legend_of_means,
    legend_of_models,
    means_table,
    models_table,
)
from motools_build.report.page.document import text
from motools_build.report.page.material import Material
from motools_build.report.results import draw_shown
from motools_build.report.table import Table


def results(table: Table) -> str:
    """The terminal's tables of means and of single models, with their legends."""
    if not table.results:
        return ""
    parts = []
    if has_means(table):
        parts.append(of_rich(means_table(table, WHOLE)))
        parts += [_muted(line) for line in legend_of_means(table)]
    parts.append(of_rich(models_table(table, WHOLE)))
    parts += [_muted(line) for line in legend_of_models(table)]
    return "".join(parts)


def differences(found: Material) -> str:
    """The terminal's tables of differences, and the groups that have none."""
    of = found.compared
    parts = [of_rich(one) for one in differences_tables(of.setting, of.found)]
    if not parts and not of.told:
        return "".join(_muted(line) for line in lost_lines(of.setting, of.lost))
    return "".join([*parts, *(_muted(line) for line in lines_below(of))])


def cells(found: Material) -> str:
    """Every cell with its status, values and key."""
    rows = []
    for row in found.table.rows:
        result, cell = row.result, row.result.cell
        values = "; ".join(
            f"{' '.join(filter(None, (one.scorer, one.metric)))} {one.estimate}"
            for one in row.metrics
        )
        group = cell.arm, cell.dataset, cell.model, cell.training
        parts = (
            found.names[group],
            draw_shown(cell),
            cell.eval,
            result.status,
            values or "-",
            str(cell.stage.key)[:16],
            result.lineage.made or "-",
        )
        rows.append((result.status, parts))
    headings = ("model", "seed", "eval", "status", "values", "key", "made")
    return _table("Every result", headings, rows)


def of_rich(table: Any) -> str:
    """A rich table of plain texts as HTML."""
    headings = [str(column.header) for column in table.columns]
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    rows = [("", row) for row in zip(*columns, strict=True)]
    numeric = {i for i, one in enumerate(table.columns) if one.justify == "right"}
    return _table(str(table.title or ""), headings, rows, numeric)


def _table(
    title: str,
    headings: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
    numeric: Iterable[int] = (),
) -> str:
    right = set(numeric)

    def kind(index: int) -> str:
        return ' class="n"' if index in right else ""

    head = "".join(
        f'<th scope="col"{kind(index)}>{text(one)}</th>'
        for index, one in enumerate(headings)
    )
    body = "".join(
        f'<tr class="{text(status)}">'
        + "".join(
            f"<td{kind(index)}><bdi>{text(one)}</bdi></td>"
            for index, one in enumerate(parts)
        )
        + "</tr>\n"
        for status, parts in rows
    )
    return (
        f"<h3>{text(title)}</h3>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _muted(line: str) -> str:
    return f'<p class="mut">{text(line)}</p>'
