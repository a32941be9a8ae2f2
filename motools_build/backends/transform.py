"""Derived and fetched datasets, for a run that makes one again (`doit run -a`)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from motools_build.backends.base import Backend
from motools_build.backends.job import Made, Report, StageJob
from motools_build.data import DATA
from motools_build.data.fetching import fetch
from motools_build.data.source import Source
from motools_build.errors import DatasetError, StageFailed
from motools_build.keys import digest_file
from motools_build.params import FetchParams, HasParams, StepParams


def written(
    what: HasParams, folder: Path, at_hand: Path | None = None
) -> dict[str, Any]:
    """Write the rows of a derived or fetched dataset into a folder; returns the details
    of its record. `at_hand` is a copy of the file to be fetched, if there is one.
    Raises DatasetError if the rows cannot be made, or are not what is pinned."""
    params = what.params
    if isinstance(params, FetchParams):
        place, pin = str(at_hand or params.url), params.digest
        found = fetch(place, pin, folder / DATA, params.sha256, params.largest)
        return {"url": params.url, "sha256": found}
    from motools_build.data.transforms import made

    params = StepParams.of(what)
    sources = [source for source in params.sources if isinstance(source, Source)]
    assert len(sources) == len(params.sources), what.name  # a run fills them in
    return made(params.step, sources, folder)


class TransformBackend(Backend):
    """Makes derived and fetched datasets: deterministic, and free."""

    async def make(self, job: StageJob, report: Report) -> Made:
        work = Path(job.work)
        try:
            details = await asyncio.to_thread(written, job, work)
        except DatasetError as error:
            raise StageFailed(str(error)) from error
        return Made(digest_file(work / DATA), details)
