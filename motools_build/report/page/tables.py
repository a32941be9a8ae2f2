"""The tables of a page. Their numbers are the texts that the terminal prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from motools_build.report.page.document import folded, text
from motools_build.report.page.material import Material
from motools_build.report.results import draw_shown
from motools_build.report.table import Table

LONG = 12
"""Number of rows above which a table is folded."""


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
    drawn = [*differences_tables(of.setting, of.found)]
    count = sum(len(one.rows) for one in drawn)
    long = count > LONG
    parts = [of_rich(one, may_fold=not long) for one in drawn]
    if long:
        metrics = f"{len(drawn)} metric{'s' if len(drawn) > 1 else ''}"
        told = f"{count} comparisons of {metrics}, with p values"
        parts = [folded("The differences as numbers", told, "".join(parts))]
    if not parts and not of.told:
        return "".join(_muted(line) for line in lost_lines(of.setting, of.lost))
    return "".join([*parts, *(_muted(line) for line in lines_below(of))])


def cells(found: Material) -> str:
    """Every cell with its status, values and key."""
    rows = []
    for row in found.table.rows:
        result, cell = row.result, row.result.cell
        values = "\n".join(
            f"{' '.join(filter(None, (one.scorer, one.metric)))} {one.estimate}"
            for one in row.metrics
        )
        group = cell.arm, cell.dataset, cell.model, cell.training
        parts = (
            found.names[group],
            draw_shown(cell),
            cell.eval,
            f"{result.status}, accepted" if result.accepted else result.status,
            values or "-",
            str(cell.stage.key)[:16],
            result.lineage.made or "-",
        )
        rows.append((result.status, parts))
    headings = ("model", "seed", "eval", "status", "values", "key", "made")
    if not rows:
        return ""
    counts = Counter(status for status, _ in rows)
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    some = f"{len(rows)} result{'s' if len(rows) > 1 else ''}, {told}"
    drawn = _table("Every result", headings, rows, kinds={4: "lines", 5: "w", 6: "w"})
    return folded("Every result", some, drawn) if len(rows) > LONG else drawn


def of_rich(table: Any, may_fold: bool = True) -> str:
    """A rich table of plain texts as HTML; with `may_fold`, a long one is folded."""
    headings = [str(column.header) for column in table.columns]
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    rows = [("", row) for row in zip(*columns, strict=True)]
    numeric = {i: "n" for i, one in enumerate(table.columns) if one.justify == "right"}
    title = str(table.title or "")
    drawn = _table(title, headings, rows, numeric)
    if len(rows) <= LONG or not may_fold:
        return f"<h3>{text(title)}</h3>{drawn}"
    return folded(title, f"{len(rows)} rows", drawn)


def _table(
    title: str,
    headings: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
    kinds: Mapping[int, str] | None = None,
) -> str:
    """A table in a box that scrolls sideways. `kinds` has the classes of columns."""

    def kind(index: int) -> str:
        return f' class="{kinds[index]}"' if kinds and index in kinds else ""

    head = "".join(
        f'<th scope="col"{kind(index)}><bdi>{text(one)}</bdi></th>'
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
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _muted(line: str) -> str:
    return f'<p class="mut">{text(line)}</p>'
