"""Formats the differences between a setting's groups of models, for a terminal and as
CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from motools_build.report.comparisons import BASE, COMPARISON, Compared, Comparison
from motools_build.report.drawing.console import console_of, plain_table
from motools_build.report.estimates import Column
from motools_build.report.means import Group

LEGEND = (
    "[low, high]: 95 %, of the first less the second, paired by question: over new "
    "seeds and questions; of groups with a single seed over new questions, of these "
    "models only\np: adjusted for all comparisons of the setting (Holm)"
)

NONE = (
    "there is nothing to compare: no two groups of models, or a group and its base "
    "model, have results with an interval"
)

MOST_LOST = 10
"""Largest number of groups without results that are named."""


def print_differences(
    name: str,
    found: Sequence[Comparison],
    stream: Any,
    lost: Sequence[tuple[Column, Group]] = (),
) -> None:
    """Print a table of differences for each metric, and the groups without results."""
    console = console_of(stream)
    for table in differences_tables(name, found):
        console.print(table)
    console.print(LEGEND if found else f"{name}: {NONE}")
    for line in lost_lines(name, lost):
        console.print(line)


def lost_lines(name: str, lost: Sequence[tuple[Column, Group]]) -> Iterator[str]:
    """A line for each group without a result of a metric."""
    for column, group in lost[:MOST_LOST]:
        metric = " ".join(filter(None, column))
        yield f"not compared, without a result: {_named(group)}: {metric}"
    if len(lost) > MOST_LOST:
        yield f"and {len(lost) - MOST_LOST} more"
    if lost:
        yield f"why they have none: doit results {name}"


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
    for group, seeds, of in (
        (one.first, one.seeds, one.of),
        (one.second, one.other_seeds, one.other_of),
    ):
        some = f"{seeds} of {of}" if seeds < of else f"{seeds}"
        count = f" ({some} seed{'s' if of > 1 else ''})"
        yield _named(group, with_model) + (count if group[1] != BASE else "")
    yield one.shown
    yield f"{one.adjusted:.3f}" if one.adjusted >= 0.001 else "<0.001"


def _named(group: Group, with_model: bool = True) -> str:
    """The parts of a group's name that say which it is."""
    arm, dataset, model, training = group
    return ", ".join(
        filter(None, (arm, dataset, model if with_model else "", training))
    )


def differences_csv(found: Iterable[Compared]) -> str:
    """A row for each comparison, under one header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ("setting", *COMPARISON), lineterminator="\n")
    writer.writeheader()
    for of in found:
        writer.writerows({"setting": of.setting, **one.as_json()} for one in of.found)
    return text.getvalue()
