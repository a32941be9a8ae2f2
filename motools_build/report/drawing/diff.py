"""Formats `doit diff` for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from motools_build.report.cells import group_shown
from motools_build.report.diff import Diff, Moved, Verdict
from motools_build.report.diff_inputs import Input
from motools_build.report.drawing.console import console_of, plain_table
from motools_build.report.estimates import Estimate, rounded
from motools_build.text import hints

VERDICTS: dict[Verdict, str] = {
    "same": "same",
    "moved": "moved",
    "within": "within",
    "apart": "apart (other eval)",
    "overlap": "overlap (other eval)",
    "only": "only one has it",
    "none": "no interval",
}

LEGEND = {
    "moved": "moved: the 95 % interval of B less A, paired by question, excludes 0",
    "within": "within: the 95 % interval of B less A, paired by question, includes 0",
    "apart": "other eval: it asks or scores otherwise, so A and B are compared by "
    "their intervals alone",
    "overlap": "other eval: it asks or scores otherwise, so A and B are compared by "
    "their intervals alone",
}

DIGEST = re.compile(r"[0-9a-f]{32}")

SHORT = 8
"""Digits of a digest that are shown: as many as commands need."""

MOST_SAME = 20
"""Largest number of results that did not move, of the same artifacts, in the table."""


def print_diff(found: Diff, stream: Any) -> None:
    console = console_of(stream)
    console.print(f"A  {found.first}\nB  {found.second}")
    if found.inputs:
        table = plain_table(title="inputs that differ")
        for heading in ("of", "field", "A", "B"):
            table.add_column(heading, overflow="fold")
        for one in found.inputs:
            table.add_row(*_input(one))
        console.print(table)
    else:
        console.print("no input differs")
    told = list(_told(found))
    models = {one.group[2] for one in told}
    alone = f": {min(models)}" if len(models) == 1 else ""
    for column in dict.fromkeys(one.column for one in told):
        results = plain_table(title=" ".join(filter(None, column)) + alone)
        results.add_column("of", overflow="fold")
        for heading in ("A", "B", "B - A"):
            results.add_column(heading, justify="right", no_wrap=True)
        results.add_column("")
        for moved in told:
            if moved.column == column:
                results.add_row(*_result(moved, with_model=not alone))
        console.print(results)
    for line in _below(found, told):
        console.print(line)


def _told(found: Diff) -> Iterator[Moved]:
    """The results that the table has: all but those of the same artifacts, if these are
    many."""
    same = sum(one.verdict == "same" for one in found.results)
    for one in found.results:
        if one.verdict != "same" or same <= MOST_SAME:
            yield one


def _input(one: Input) -> tuple[str, str, str, str]:
    return one.subject, one.field, _values(one.first), _values(one.second)


def _values(values: tuple[str, ...]) -> str:
    short = (v[:SHORT] if DIGEST.fullmatch(v) else v for v in values)
    return ", ".join(short) or "-"


def _result(one: Moved, with_model: bool) -> tuple[str, ...]:
    cells = [
        " ".join(filter(None, (_estimate(of), f"({lost})" if lost else "")))
        for of, lost in zip((one.first, one.second), one.lost, strict=True)
    ]
    found = one.found
    apart = ""
    if found:
        low, high = rounded(found.low), rounded(found.high)
        apart = f"{found.value:+.2f} [{low}, {high}]"
    return group_shown(one.group, with_model), *cells, apart, VERDICTS[one.verdict]


def _estimate(one: Estimate) -> str:
    return "-" if one.value is None else str(one)


def _below(found: Diff, told: list[Moved]) -> Iterator[str]:
    left_out = len(found.results) - len(told)
    if left_out:
        yield f"and {left_out} results of the same artifacts"
    for which, names in zip("AB", found.alone, strict=True):
        for name in names:
            yield f"only in {which}: {name}"
    counts = {one.verdict for one in told}
    yield from dict.fromkeys(text for v, text in LEGEND.items() if v in counts)
    yield from dict.fromkeys(_rows_that_differ(found))
    inputs = sum(one.is_known for one in found.inputs)
    moved = sum(one.verdict in ("moved", "apart") for one in found.results)
    yield (
        f"{inputs} {'input differs' if inputs == 1 else 'inputs differ'}, "
        f"{moved} {'result' if moved == 1 else 'results'} moved"
    )


def _rows_that_differ(found: Diff) -> Iterator[str]:
    """A command for each two versions of a dataset."""
    for one in found.inputs:
        rows = one.field.startswith("inputs.dataset")
        if rows and len(one.first) == len(one.second) == 1:
            words = (one.first[0][:SHORT], one.second[0][:SHORT])
            yield f"rows that differ: {hints.command('diff-data', *words)}"
