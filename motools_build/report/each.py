"""The table of single models: each one's results, and what they say of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from motools_build.report.estimates import Column, Estimates, columns, rounded
from motools_build.report.results import Result, draw_shown, parts_shown, rows
from motools_build.report.tables import Shown, metrics_table, print_fitting

OF_ONE = "[low, high]: 95 %, over new questions, of this model only"
"""Under the table."""


def print_models(
    name: str,
    found: list[Result],
    estimates: Estimates,
    console: Any,
    most: int | None = None,
) -> None:
    """Print the table of the first `most` models of a setting."""
    print_fitting(partial(models_table, name, found, estimates, most), console)
    if estimates.claim:
        console.print(OF_ONE)


def models_table(
    name: str,
    found: list[Result],
    estimates: Estimates,
    most: int | None,
    width: int,
) -> Any:
    """A rich table of each model's results, of the first `most` of them."""
    parts, model = parts_shown([result.cell for result in found], width)
    shown = list(rows(found))[:most]
    return metrics_table(
        f"{name}: {model}" if model else name,
        [*parts, "seed"],
        [[*(getattr(c, p) or "-" for p in parts), draw_shown(c)] for c, _ in shown],
        {
            column: [_shown(of.get(column[0]), column, estimates) for _, of in shown]
            for column in columns(found)
        },
        width,
    )


def _shown(result: Result | None, column: Column, estimates: Estimates) -> Shown:
    if result is None:
        return "", ""
    if result.record is None or result.status != "ok":
        scores = result.record.details["scores"] if result.record else {}
        was = scores.get(column[1], {}).get(column[2])
        return result.status + (f" (was {rounded(was)})" if was is not None else ""), ""
    found = estimates.of(result, column[1], column[2])
    return str(found), found.count
