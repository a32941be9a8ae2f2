"""Folders of jobs at a cluster: made for a job, and what a node is to run."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from motools_build.backends.job import StageJob
from motools_build.errors import ArtifactError, StageFailed
from motools_build.keys import digest_file
from motools_build.params import ModelParams, RowsParams
from motools_build.running.executors.cluster import Cluster, Task
from motools_build.running.launch.messages import Request
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.files import replace as replace_file
from motools_build.store.jobs import JobFolder

NOT_SUBMITTED = (
    "was cancelled (doit cancel) before it was submitted; run again to do it"
)

WORKER = ("-m", "motools_build.running.worker")
"""Arguments of Python for a worker."""


def prepared(
    job: StageJob,
    log: Path,
    store: ArtifactStore,
    tables: Mapping[str, Mapping[str, Any]],
    cluster: Cluster,
) -> JobFolder:
    """A new folder for the job at the cluster, with copies of its rows. `tables` become
    `StageJob.tables`. Raises ArtifactError if rows were edited since the run was
    planned; then there is none."""
    failure = store.states.failure(job.key)
    attempt = failure.attempts + 1 if failure else 1
    place = store.jobs.folder / f"{job.key}-a{attempt}"
    rows: dict[str, Path] = {}
    sent = replace(job, work=str(place / "work"), tables=tables)
    sent = replace(sent, params=_with_copies(sent, rows, place / "inputs"))
    order = {
        "executor": cluster.name,
        "at": cluster.place,
        "through": cluster.through,
        "stage": job.name,
        "kind": job.kind,
        "time": time.time(),
        "nonce": secrets.token_hex(8),
        "folder": os.getcwd(),
        "uses": [job.key, *_used(job)],
        "log": str(log),
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


def request_of(folder: JobFolder) -> Request:
    """What a worker is asked to do in the folder: one job."""
    return Request.decode(folder.order["request"].encode())


def is_useless(folder: JobFolder, job: StageJob) -> bool:
    """Whether the folder's result is none for the present job: its files became an
    artifact, which was removed since, or it used what was made anew since. Raises
    StageFailed for a job of the latter kind that has not ended."""
    if folder.is_spent:
        return True
    (sent,) = request_of(folder).jobs
    was = {role: given.output for role, given in sent.given.items()}
    if was == {role: given.output for role, given in job.given.items()}:
        return False
    if folder.result is None:
        raise StageFailed(
            f"its job at {folder.executor[0]}, of an earlier run, uses other weights "
            f"or rows than there are now: doit cancel {job.name}, and run again"
        )
    return True


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


@contextmanager
def sending(tasks: Sequence[Task]) -> Iterator[tuple[str, int]]:
    """Hold the lock of one submission. Gives the nonce of the submission, and the
    lock's descriptor. What each job will be known by is written to its folders before:
    the nonce, and after that of several jobs, its place among them. Raises StageFailed
    if the only job was cancelled: a node with files of its own would not see that."""
    first = tasks[0][0]
    alone = len(tasks) == 1 and len(tasks[0]) == 1
    nonce = first.nonce if alone else secrets.token_hex(8)
    with first.locked("sending") as lock:
        # a cancel either wrote its file before, or waits for the lock and finds the job
        if alone and first.cancelled:
            raise StageFailed(NOT_SUBMITTED)
        for index, folders in enumerate(tasks):
            mark = nonce if len(tasks) == 1 else f"{nonce}_{index}"
            for folder in folders:
                folder.is_sent(mark, first, folders)
        yield nonce, lock


def written_script(
    folder: JobFolder, task: Task, setup: Sequence[str], python: str | None
) -> Path:
    """Write the script that does a task, to one of its folders, for nodes that see them
    under the same paths. `setup` are lines that go before the work, and `python` is the
    interpreter, by default the path of the present one. Returns the script's path."""
    places = [os.path.abspath(one.path) for one in task]
    do = [python or sys.executable, *WORKER, "--folder", *places]
    lines = [
        "#!/bin/bash",
        f"cd {shlex.quote(os.getcwd())} || exit 1",
        *setup,
        f"exec {shlex.join(do)}",
        "",
    ]
    path = folder.path / "script"
    replace_file(path, "\n".join(lines).encode())
    return path


def written_chooser(tasks: Sequence[Task], variable: str) -> Path:
    """Write the script of a submission of several folders: of one task, or of that
    whose place among the tasks the environment variable says. Returns its path."""
    text = begin(tasks[0])
    if len(tasks) > 1:
        cases = [f"{index})\n{begin(task)}\n;;" for index, task in enumerate(tasks)]
        text = "\n".join([f"case ${variable} in", *cases, "esac"])
    path = tasks[0][0].path / "script-of-all"
    replace_file(path, f"#!/bin/bash\n{text}\n".encode())
    return path


def begin(task: Task) -> str:
    """Lines of shell that run the script in the first of a task's folders that is not
    gone. What it prints is appended to that folder's log."""
    places = shlex.join(os.path.abspath(folder.path) for folder in task)
    return "\n".join(
        [
            f"for folder in {places}; do",
            '  if [ -e "$folder/script" ]; then',
            '    exec bash "$folder/script" >> "$folder/log" 2>&1',
            "  fi",
            "done",
        ]
    )


def last_line(folder: JobFolder) -> str:
    """The last line that the job's script printed, to this folder's log or to that of
    another one that the same job does; empty if there is none."""
    for one in (folder, *folder.group):
        with suppress(FileNotFoundError):
            if said := last_of(one.log.read_text(errors="replace")):
                return said
    return ""


def last_of(text: str) -> str:
    """The last line of a text that is not blank, cut; empty if there is none."""
    lines = (line.strip()[:300] for line in reversed(text.split("\n")))
    return next(filter(None, lines), "")
