"""`doit jobs` on a narrow terminal."""

from __future__ import annotations

import io
import time

from rich.console import Console

from motools_build.report.drawing.jobs import print_jobs
from motools_build.report.paid_jobs import JobLine

FOUND = [
    JobLine(
        stage=f"model:spanish_caps/inoculated_spanish/gpt-4.1-mini-2025-04-14/seed{n}",
        key=f"{n}" * 32,
        attempt=1,
        id=f"ftjob-Ab12Cd34Ef56Gh78Ij90Kl1{n}",
        state="submitted",
        since=time.time() - 7000,
        account="default",
        cost=None,
        adopted=n == 1,
        message="",
    )
    for n in range(2)
]


def printed(width: int) -> list[str]:
    stream = io.StringIO()
    print_jobs(FOUND, Console(file=stream, width=width, markup=False))
    return stream.getvalue().splitlines()


def test_jobs_keep_their_id_and_stage_at_80_columns() -> None:
    lines = printed(80)
    assert all(len(line) <= 80 for line in lines)
    for job in FOUND:
        (row,) = [number for number, line in enumerate(lines) if job.id in line]
        assert lines[row + 1].split() == [job.key[:8], job.stage]


def test_jobs_are_rows_where_there_is_room() -> None:
    lines = printed(200)
    for job in FOUND:
        assert any(job.id in line and job.stage in line for line in lines)
