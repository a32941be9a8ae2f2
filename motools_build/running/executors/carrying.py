"""What travels with a job to a node that shares no disk with this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from motools_build.backends.job import StageJob
from motools_build.errors import Refused
from motools_build.params import ModelParams, RowsParams
from motools_build.pyproject import PYPROJECT
from motools_build.running.executors.job_folders import request_of
from motools_build.store.jobs import JobFolder
from motools_build.store.payload import entries
from motools_build.task_code.shipped import NAMES


def files_of(folder: JobFolder) -> dict[str, Path]:
    """The files that the folder's job needs, by their paths below the project: its
    rows, what it saved before, the artifacts that it uses, and the project's own code.
    Base models are no part of it: the node has or fetches them. Raises Refused."""
    (job,) = request_of(folder).jobs
    found: dict[str, Path] = {}
    for place in (folder.path / "inputs", folder.work, *_artifacts(job)):
        found |= _below(place)
    for name in (PYPROJECT, *_sources(job)):
        path = Path(name)
        if path.is_file():
            found[path.as_posix()] = path
    return found


def _sources(job: StageJob) -> list[str]:
    """The project's own files that a job reads. Its rows are not among them, which it
    has copies of. Raises Refused for a file outside the project, which has no place on
    a node."""
    rows: set[str] = set()
    if isinstance(job.params, RowsParams):
        rows.add(job.params.rows_digest)
    if isinstance(job.params, ModelParams):
        rows.add(job.params.held_out_digest)
    found = []
    for name, digest in job.files.items():
        if name.startswith(NAMES) or digest in rows:
            continue
        if os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == "..":
            raise Refused(
                f"{name} is outside the project, so it cannot travel to a node that "
                "shares no disk (through_store): put a copy into the project"
            )
        found.append(name)
    return found


def programs(files: Mapping[str, Path]) -> list[str]:
    """Those of the files that may be executed, by their paths."""
    return [path for path, place in files.items() if os.access(place, os.X_OK)]


def _artifacts(job: StageJob) -> list[Path]:
    """The folders of the artifacts that a job uses."""
    places = (Path(given.path) for given in job.given.values())
    return [place for place in places if not place.is_absolute()]


def _below(place: Path) -> dict[str, Path]:
    if not place.is_dir():
        return {}
    files = (path for path in entries(place) if path.is_file())
    return {Path(os.path.relpath(path)).as_posix(): path for path in files}
