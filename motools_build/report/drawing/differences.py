"""Formats the differences between a setting's groups of models, for a terminal and as
CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from motools_build.report.comparisons import BASE, COMPARISON, Comparison
from motools_build.report.drawing.console import console_of, plain_table

LEGEND = (
    "[low, high]: 95 %, of the first less the second, paired by question: over new "
    "seeds and questions; of groups with a single seed over new questions, of these "
    "models only\np: adjusted for all comparisons of the setting (Holm)"
)


def print_differences(name: str, found: Sequence[Comparison], stream: Any) -> None:
    """Print a table of differences for each metric."""
    console = console_of(stream)
    if not found:
        console.print(f"{name}: there is nothing to compare: no two groups of models")
        return
    for table in differences_tables(name, found):
        console.print(table)
    console.print(LEGEND)


def differences_tables(name: str, found: Sequence[Comparison]) -> Iterator[Any]:
    """A rich table for each metric."""
    models = {one.first[2] for one in found}
    alone = f": {min(models)}" if len(models) == 1 else ""
    for column, of_column in groupby(found, lambda one: one.column):
        table = plain_table(
            title=" ".join(filter(None, (*column, f"in {name}{alone}")))
        )
        for heading in ("first", "second"):
            table.add_column(heading, overflow="fold")
        for heading in ("difference", "p"):
            table.add_column(heading, justify="right", no_wrap=True)
        for one in of_column:
            table.add_row(*_row(one, with_model=not alone))
        yield table


def _row(one: Comparison, with_model: bool) -> Iterator[str]:
    for group, seeds in ((one.first, one.seeds), (one.second, one.other_seeds)):
        arm, dataset, model, training = group
        parts = (arm, dataset, model if with_model else "", training)
        count = f" ({seeds} seed{'s' if seeds > 1 else ''})"
        yield ", ".join(filter(None, parts)) + (count if dataset != BASE else "")
    yield one.shown
    yield f"{one.adjusted:.3f}" if one.adjusted >= 0.001 else "<0.001"


def differences_csv(found: Iterable[tuple[str, Sequence[Comparison]]]) -> str:
    """A row for each comparison, under one header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ("setting", *COMPARISON), lineterminator="\n")
    writer.writeheader()
    for name, of in found:
        writer.writerows({"setting": name, **one.as_json()} for one in of)
    return text.getvalue()
