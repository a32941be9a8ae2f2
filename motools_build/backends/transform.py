"""Datasets made of others, or fetched, where a run makes one again (`doit run -a`)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from motools_build.backends.base import Backend, Job, Made, Report
from motools_build.data import DATA
from motools_build.data.transforms import made
from motools_build.errors import DatasetError, StageFailed
from motools_build.keys import digest_file


class TransformBackend(Backend):
    """Deterministic, and free."""

    async def make(self, job: Job, report: Report) -> Made:
        work = Path(job.work)
        try:
            details = await asyncio.to_thread(made, job.params, work)
        except DatasetError as error:
            raise StageFailed(str(error)) from error
        return Made(digest_file(work / DATA), details)
