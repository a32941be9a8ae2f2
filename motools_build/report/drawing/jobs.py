"""Formats lists of jobs for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from motools_build.report.drawing.console import fits, plain_table
from motools_build.report.paid_jobs import JobLine


def print_jobs(found: Sequence[JobLine], console: Any) -> None:
    """Print the jobs, one in each row. On a terminal that is too narrow, key and stage
    are on a second line. IDs and stages are never cut, so that they can be copied."""
    table = plain_table("job", "state", "age", "account", "cost", "key", "stage")
    rows = [_row(job) for job in found]
    for job, row in zip(found, rows, strict=True):
        table.add_row(*row, job.key[:8], job.stage)
    if fits(table, console):
        console.print(table)
        return
    for job, row in zip(found, rows, strict=True):
        console.print("  ".join(row), soft_wrap=True)
        console.print(f"  {job.key[:8]}  {job.stage}", soft_wrap=True)


def _row(job: JobLine) -> tuple[str, ...]:
    return (
        job.id or "-",
        f"{job.state} (adopted)" if job.adopted else job.state,
        spoken(job.age()),
        job.account,
        "?" if job.cost is None else f"${job.cost:.2f}",
    )


def lines_under_way(found: Iterable[JobLine]) -> list[str]:
    """A line for each job that has not ended: its ID, age and account."""
    return [
        f"{job.id or 'a request'}  {job.state}, {spoken(job.age())} ago, account "
        f"{job.account}  {job.stage}"
        for job in found
    ]


def spoken(seconds: float) -> str:
    """A duration as a short text: 90 -> `90 s`, 7200 -> `2.0 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.0f} d"
