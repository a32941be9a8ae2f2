"""Runs jobs while observing which files the project's own eval code reads.

A file in the eval's key is compared with its planned digest when it is read. Any other
file is noted in the eval's record.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from motools_build.backends import registry
from motools_build.backends.job import Made, ReportOf, StageJob
from motools_build.errors import ArtifactError
from motools_build.params import AskParams
from motools_build.specs import ModelName
from motools_build.task_code.attempts import carry, noted
from motools_build.task_code.audit import WATCH
from motools_build.task_code.reads import READ, is_declared, variables_of


def watched(
    jobs: Sequence[StageJob], folder: Path | None, report: ReportOf
) -> Mapping[str, Made | BaseException]:
    """Do the jobs. For evals, check and note the files that their code reads. Returns
    key -> result or error of each job.

    Raises ArtifactError if a file in the key was edited before or while it was read.
    """
    if jobs[0].backend != "inspect" or jobs[0].only_load:
        return _made(jobs, folder, report)
    WATCH.begin({path: d for job in jobs for path, d in job.files.items()})
    logs = folder or Path(jobs[0].work)
    try:
        made = dict(_made(jobs, folder, report))
    finally:
        WATCH.end()
        if WATCH.edited:  # the results must not be used, and neither must the logs
            for job in jobs:
                carry(logs, Path(job.work))
            raise ArtifactError("; ".join(WATCH.edited.values()))
    for key, outcome in made.items():
        if isinstance(outcome, Made):
            (job,) = (job for job in jobs if job.key == key)
            work = Path(job.work)
            details = {**outcome.details, **_read_by(job, {logs, work})}
            made[key] = replace(outcome, details=details)
            (work / READ).unlink(missing_ok=True)
    if folder is not None and not any(logs.glob("*.eval")):
        (logs / READ).unlink(missing_ok=True)
    return made


def _read_by(job: StageJob, logs: set[Path]) -> dict[str, Any]:
    """The record's details on inputs that an eval read and that are not in its key:
    files (`observed`) and names of environment variables (`variables`)."""
    data = AskParams.of(job).task.data
    served = tuple(map(os.path.abspath, _weights(job)))
    observed = WATCH.observed()
    for folder in logs:  # earlier attempts may have read further files
        observed = {**noted(folder), **observed}
    observed = {
        name: digest
        for name, digest in sorted(observed.items())
        if name not in job.files
        and not _below(os.path.abspath(name), served)
        and not (name.endswith("/") and is_declared(name, data))
    }
    variables = {v for path in WATCH.sources() for v in variables_of(_bytes(path))}
    told = {"observed": observed, "variables": sorted(variables)}
    return {what: found for what, found in told.items() if found}


def _weights(job: StageJob) -> list[str]:
    """The files or folders of the weights that this machine serves for a job."""
    params = AskParams.of(job)
    found = []
    for role, base in job.given.items():
        kind, _, named = role.partition(":")
        if kind == "base":
            model = ModelName.parse(named or params.subject.asked)
            weights = registry.get(model.backend).weights(model.model, base)
            found += [weights] if weights else []
    return found


def _below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _made(
    jobs: Sequence[StageJob], folder: Path | None, report: ReportOf
) -> Mapping[str, Made | BaseException]:
    """Key -> result or error of each job, done by its backend."""
    backend = registry.get(jobs[0].backend)
    if folder is not None:
        return backend.work_together(jobs, str(folder), report)
    (job,) = jobs
    return {job.key: backend.work(job, lambda told: report(job.key, told))}
