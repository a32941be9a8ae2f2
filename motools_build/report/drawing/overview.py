"""Formats `doit status` for a terminal."""

from __future__ import annotations

from typing import Any

from motools_build.report.drawing.console import console_of, plain_table
from motools_build.report.drawing.jobs import lines_under_way
from motools_build.report.overview import Overview
from motools_build.report.status import Word

COLUMNS: dict[str, Word] = {
    "up to date": "ok",
    "stale": "stale",
    "running": "running",
    "parked": "parked",
    "failed": "failed",
    "missing": "missing",
}
"""Heading of a column -> the status that the column counts."""


def print_overview(found: Overview, stream: Any) -> None:
    """Print a row for each setting, then a line for each job under way, then a line for
    each broken setting."""
    console = console_of(stream)
    table = plain_table("setting", *COLUMNS)
    for setting, counts in found.settings.items():
        shown = (counts.get(word, 0) for word in COLUMNS.values())
        table.add_row(setting, *(str(count or "-") for count in shown))
    console.print(table)
    for line in lines_under_way(found.jobs):
        console.print(line, soft_wrap=True)
    for name, count in found.accepted.items():
        what = f"{count} of {name}, by a person's word"
        console.print(f"accepted {what}: doit accept --list", soft_wrap=True)
    for name, error in found.broken.items():
        console.print(f"broken   {name}: {error}", soft_wrap=True)
