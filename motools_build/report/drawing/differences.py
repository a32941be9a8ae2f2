"""Formats the differences between a setting's groups of models, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from motools_build.report.cells import group_shown
from motools_build.report.comparisons import Compared, Comparison
from motools_build.report.drawing.console import console_of, plain_table
from motools_build.report.estimates import Column
from motools_build.report.means import Group
from motools_build.specs.contrast import BASE

INTERVALS = (
    "[low, high]: 95 %, of the first less the second, paired by question: over new "
    "seeds and questions; of groups with a single seed over new questions, of these "
    "models only"
)

ADJUSTED = "p: adjusted for all comparisons of the setting (Holm)"

BESIDES = (
    "p: that of the primary contrast as it is; the others' adjusted for each other "
    "(Holm)"
)

SEVERAL = (
    "p: those of the primary contrast adjusted for each other, and the others' for "
    "each other (Holm)"
)

NONE = (
    "there is nothing to compare: no two groups of models, or a group and its base "
    "model, have results with an interval"
)

MOST_LOST = 10
"""Largest number of groups without results that are named."""


def print_differences(of: Compared, stream: Any) -> None:
    """Print a table of differences for each metric, and the lines below them."""
    console = console_of(stream)
    for table in differences_tables(of.setting, of.found):
        console.print(table)
    for line in lines_below(of):
        console.print(line)


def lines_below(of: Compared) -> Iterator[str]:
    """The legend, what was declared, and the groups without results."""
    yield from legend(of.found) if of.found else [f"{of.setting}: {NONE}"]
    yield from of.told
    yield from lost_lines(of.setting, of.lost)


def legend(found: Sequence[Comparison]) -> Iterator[str]:
    """What the intervals and the p values of the tables are."""
    yield INTERVALS
    primary = sum(one.primary for one in found)
    yield (ADJUSTED, BESIDES)[primary] if primary < 2 else SEVERAL


def lost_lines(name: str, lost: Sequence[tuple[Column, Group]]) -> Iterator[str]:
    """A line for each group without a result of a metric."""
    for column, group in lost[:MOST_LOST]:
        metric = " ".join(filter(None, column))
        yield f"not compared, without a result: {group_shown(group)}: {metric}"
    if len(lost) > MOST_LOST:
        yield f"and {len(lost) - MOST_LOST} more"
    if lost:
        yield f"why they have none: doit results {name}"


def differences_tables(name: str, found: Sequence[Comparison]) -> Iterator[Any]:
    """A rich table for each metric."""
    models = {one.first[2] for one in found}
    alone = f": {min(models)}" if len(models) == 1 else ""
    has_words = any(one.declared or one.primary for one in found)
    for column, of_column in groupby(found, lambda one: one.column):
        table = plain_table(
            title=" ".join(filter(None, (*column, f"in {name}{alone}")))
        )
        for heading in ("first", "second"):
            table.add_column(heading, overflow="fold")
        for heading in ("difference", "p"):
            table.add_column(heading, justify="right", no_wrap=True)
        if has_words:
            table.add_column("declared")
        for one in of_column:
            word = [_word(one)] if has_words else []
            table.add_row(*_row(one, with_model=not alone), *word)
        yield table


def shown_p(one: Comparison) -> str:
    """The adjusted p value of a comparison, such as `0.013`."""
    return f"{one.adjusted:.3f}" if one.adjusted >= 0.001 else "<0.001"


def _word(one: Comparison) -> str:
    """What is told of a comparison in the column `declared`."""
    if one.primary and one.declared != "primary":
        return f"{one.declared or 'not declared'} (primary)"
    return one.declared


def _row(one: Comparison, with_model: bool) -> Iterator[str]:
    for group, seeds, of in (
        (one.first, one.seeds, one.of),
        (one.second, one.other_seeds, one.other_of),
    ):
        some = f"{seeds} of {of}" if seeds < of else f"{seeds}"
        count = f" ({some} seed{'s' if of > 1 else ''})"
        yield group_shown(group, with_model) + (count if group[1] != BASE else "")
    yield one.shown
    yield shown_p(one)
