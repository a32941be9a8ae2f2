"""Formats the expected widths of intervals, for a terminal and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from motools_build.report.drawing.console import console_of, plain_table
from motools_build.report.drawing.forecasts import minutes, usd
from motools_build.report.power import Design, Power

COLUMNS = (
    *("setting", "eval", "scorer", "metric", "what", "groups"),
    *("seeds", "questions", "half", "seconds", "cost"),
)


def print_power(found: Power, half: float | None, stream: Any) -> None:
    """Print a table for each number that the setting measures, and the fewest seeds
    that reach a half-width `half`, if one is asked for."""
    console = console_of(stream)
    if not found.designs:
        console.print(f"{found.setting}: no metric of its results has an interval")
    for one in found.designs:
        console.print(_table(found, one, half))
        console.print(str(one.assumed))
        if half is not None:
            console.print(_enough(one, half))
    for line in found.told:
        console.print(line)
    if found.designs:
        console.print(
            "half of the width of the 95 % interval to expect, as a part of the "
            "score's range; time and cost of what is not made, with as many questions "
            "as now, one stage after another"
        )


def _table(found: Power, one: Design, half: float | None) -> Any:
    metric = " ".join(filter(None, one.column))
    what = f"{one.what} {one.named}".strip()
    table = plain_table(title=f"{metric} in {found.setting}: {what}")
    table.add_column("seeds", justify="right")
    for questions in one.questions:
        now = "\n(now)" if questions == one.now else ""
        table.add_column(f"{questions} questions{now}", justify="right")
    table.add_column("time", justify="right")
    table.add_column("cost", justify="right")
    for seeds in one.seeds:
        now = " (now)" if seeds == found.seeds else ""
        halves = [one.halves[seeds, questions] for questions in one.questions]
        seconds, cost = found.takes(seeds)
        takes = (minutes(seconds), usd(cost)) if seeds >= found.seeds else ("", "")
        table.add_row(f"{seeds}{now}", *(_shown(h, half) for h in halves), *takes)
    return table


def _shown(width: float | None, half: float | None) -> str:
    if width is None:
        return "-"
    is_enough = half is not None and width <= half
    return f"{width:.2g}" + (" *" if is_enough else "")


def _enough(one: Design, half: float) -> str:
    enough = list(one.enough(half))
    if not enough:
        return (
            f"{half:g} is not reached: not by {max(one.seeds)} seeds and "
            f"{max(one.questions)} questions"
        )
    told = ", or ".join(f"{s} seeds x {questions} questions" for s, questions in enough)
    return f"* {half:g} or less: {told}"


def power_rows(found: Iterable[Power]) -> Iterator[dict[str, Any]]:
    """A row for each number that is measured, of seeds and of questions, with the
    columns `COLUMNS`."""
    for of in found:
        for one in of.designs:
            yield from _rows(of, one)


def _rows(of: Power, one: Design) -> Iterator[dict[str, Any]]:
    an_eval, scorer, metric = one.column
    for row in of.rows(one):
        yield {
            "setting": of.setting,
            "eval": an_eval,
            "scorer": scorer,
            "metric": metric,
            "what": one.what,
            "groups": one.named,
            **row,
        }
