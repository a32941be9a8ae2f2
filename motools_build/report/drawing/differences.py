"""Formats the differences between a setting's groups of models, for a terminal and as
CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from motools_build.report.comparisons import COMPARISON, Comparison
from motools_build.report.drawing.console import console_of, plain_table
from motools_build.report.estimates import Column
from motools_build.report.means import Group

LEGEND = (
    "[low, high]: 95 %, over new seeds and questions, of the first less the second, "
    "paired by question; p: adjusted for all comparisons of the setting (Holm)"
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
    if not found:
        console.print(
            f"{name}: there is nothing to compare: no two groups of models, or a group "
            "and its base model, have results with an interval"
        )
    for column, of_column in groupby(found, lambda one: one.column):
        table = plain_table(title=" ".join(filter(None, (name, *column))))
        for heading in ("first", "second"):
            table.add_column(heading, overflow="fold")
        for heading in ("difference", "p"):
            table.add_column(heading, justify="right", no_wrap=True)
        for one in of_column:
            table.add_row(*_row(one))
        console.print(table)
    if found:
        console.print(LEGEND)
    for column, group in lost[:MOST_LOST]:
        metric = " ".join(filter(None, column))
        console.print(f"not compared, without a result: {_named(group)}: {metric}")
    if len(lost) > MOST_LOST:
        console.print(f"and {len(lost) - MOST_LOST} more")
    if lost:
        console.print(f"why they have none: doit results {name}")


def _row(one: Comparison) -> Iterator[str]:
    for group, seeds, of in (
        (one.first, one.seeds, one.of),
        (one.second, one.other_seeds, one.other_of),
    ):
        some = f"{seeds} of {of}" if seeds < of else f"{seeds}"
        count = f"{some} seed{'s' if of > 1 else ''}"
        yield f"{_named(group)} ({count})" if group[1] != "base" else _named(group)
    yield one.shown
    yield f"{one.adjusted:.3f}" if one.adjusted >= 0.001 else "<0.001"


def _named(group: Group) -> str:
    """The parts of a group's name that say which it is."""
    arm, dataset, model, training = group
    return ", ".join(filter(None, (arm, dataset, model, training)))


def differences_csv(found: Iterable[tuple[str, Sequence[Comparison]]]) -> str:
    """A row for each comparison, under one header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ("setting", *COMPARISON), lineterminator="\n")
    writer.writeheader()
    for name, of in found:
        writer.writerows({"setting": name, **one.as_json()} for one in of)
    return text.getvalue()
