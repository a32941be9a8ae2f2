"""Folders of Slurm's jobs: made for a job, and submitted."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from motools_build.backends.job import StageJob
from motools_build.errors import ArtifactError
from motools_build.keys import digest_file
from motools_build.params import ModelParams, RowsParams
from motools_build.running.executors import SLURM, slurm_commands
from motools_build.running.executors.slurm_options import SlurmOptions
from motools_build.running.launch.messages import Request
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.files import replace as replace_file
from motools_build.store.jobs import JobFolder


def prepared(
    job: StageJob,
    log: Path,
    store: ArtifactStore,
    tables: Mapping[str, Mapping[str, Any]],
) -> JobFolder:
    """A new folder for the job, with copies of its rows. `tables` become
    `StageJob.tables`. Raises ArtifactError if rows were edited since the run was
    planned; then there is none."""
    failure = store.states.failure(job.key)
    attempt = failure.attempts + 1 if failure else 1
    place = store.jobs.folder / f"{job.key}-a{attempt}"
    rows: dict[str, Path] = {}
    sent = replace(job, work=str(place / "work"), tables=tables)
    sent = replace(sent, params=_with_copies(sent, rows, place / "inputs"))
    order = {
        "executor": SLURM,
        "stage": job.name,
        "kind": job.kind,
        "time": time.time(),
        "nonce": secrets.token_hex(8),
        "folder": os.getcwd(),
        "uses": [job.key, *_used(job)],
        "request": Request((sent,), log).encode().decode(),
    }
    made = store.jobs.create(job.key, attempt, order, rows)
    for path, digest in _rows_of(sent):
        if digest_file(Path(path)) != digest:
            store.jobs.close(made)
            raise ArtifactError(
                f"the rows of {job.name} were edited after this run was planned; "
                "nothing was submitted: run again"
            )
    return made


def _with_copies(job: StageJob, rows: dict[str, Path], inputs: Path) -> Any:
    """The job's params, whose rows are in the folder `inputs`; adds the files that must
    be copied there to `rows`."""
    params = job.params
    if not isinstance(params, RowsParams):
        return params
    rows["rows.jsonl"] = Path(params.rows_path)
    params = replace(params, rows_path=str(inputs / "rows.jsonl"))
    if isinstance(params, ModelParams) and params.held_out_path:
        rows["held_out.jsonl"] = Path(params.held_out_path)
        params = replace(params, held_out_path=str(inputs / "held_out.jsonl"))
    return params


def _rows_of(job: StageJob) -> list[tuple[str, str]]:
    """Path and planned digest of each file of rows that a job has."""
    params = job.params
    if not isinstance(params, RowsParams):
        return []
    found = [(params.rows_path, params.rows_digest)]
    if isinstance(params, ModelParams) and params.held_out_path:
        found.append((params.held_out_path, params.held_out_digest))
    return found


def _used(job: StageJob) -> list[str]:
    """The keys of the artifacts that a job uses, from the names of their folders."""
    return [Path(given.path).name.rpartition("-")[2] for given in job.given.values()]


def wait_for(folder: JobFolder) -> None:
    """Wait until no earlier run's sbatch is at work for this folder."""
    with folder.locked("sending"):
        pass


def submit(folder: JobFolder, nonce: str, options: SlurmOptions) -> str:
    """Submit a folder's job, and write its ID down."""
    place = os.path.abspath(folder.path)
    words = [
        f"--job-name={folder.name}",
        f"--comment={nonce}",
        f"--output={place}/log",
        "--open-mode=append",
        "--requeue",
        *options.words,
    ]
    python = options.python or sys.executable
    do = [python, "-m", "motools_build.running.worker", "--folder", place]
    script = "\n".join(
        [
            "#!/bin/bash",
            f"cd {shlex.quote(os.getcwd())} || exit 1",
            *options.setup,
            f"exec {shlex.join(do)}",
            "",
        ]
    )
    path = folder.path / "script"
    replace_file(path, script.encode())
    with folder.locked("sending") as lock:
        id = slurm_commands.submit(str(path), words, lock)
        folder.submitted(id)
    return id
