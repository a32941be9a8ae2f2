"""What travels with a job to a node that shares no disk with this machine."""

from __future__ import annotations

import os
from pathlib import Path

from motools_build.backends.job import StageJob
from motools_build.pyproject import PYPROJECT
from motools_build.running.launch.messages import Request
from motools_build.store.jobs import JobFolder
from motools_build.store.payload import entries
from motools_build.task_code.shipped import NAMES


def files_of(folder: JobFolder) -> dict[str, Path]:
    """The files that the folder's job needs, by their paths below the project: its
    rows, what it saved before, the artifacts that it uses, and the project's own code.
    Base models outside the project are no part of it: the node has or fetches them."""
    (job,) = Request.decode(folder.order["request"].encode()).jobs
    found: dict[str, Path] = {}
    for place in (folder.path / "inputs", folder.work, *_artifacts(job)):
        found |= _below(place)
    for name in (PYPROJECT, *job.files):
        path = Path(name)
        if not name.startswith(NAMES) and not path.is_absolute() and path.is_file():
            found[path.as_posix()] = path
    return found


def _artifacts(job: StageJob) -> list[Path]:
    """The folders of the artifacts that a job uses."""
    places = (Path(given.path) for given in job.given.values())
    return [place for place in places if not place.is_absolute()]


def _below(place: Path) -> dict[str, Path]:
    if not place.is_dir():
        return {}
    files = (path for path in entries(place) if path.is_file())
    return {Path(os.path.relpath(path)).as_posix(): path for path in files}
