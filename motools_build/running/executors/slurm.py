"""Slurm as a cluster: jobs by `sbatch`, `squeue` and `scancel`.

A job's comment is its nonce. Jobs that are submitted together are the tasks of an
array, whose comment is the nonce of the submission. Their files lie on a disk that the
nodes share with this machine, under the same paths.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from motools_build.running.executors import SLURM, slurm_commands
from motools_build.running.executors.cluster import AGAIN, Listed, Task
from motools_build.running.executors.job_folders import (
    last_line,
    sending,
    written_chooser,
    written_script,
)
from motools_build.running.executors.options import WHERE, options_of
from motools_build.running.executors.slurm_options import SlurmOptions
from motools_build.store.jobs import JobFolder

MOST = 1000
"""The most tasks of an array: Slurm's own limit, MaxArraySize, is 1001 unless the site
has another."""

TASK = "SLURM_ARRAY_TASK_ID"
"""The variable that tells a task which one it is."""


class Slurm:
    """A `Cluster`: the Slurm whose commands are on this machine."""

    name, label, place, through = SLURM, "Slurm", "", ""
    most = MOST

    def __init__(self, table: Mapping[str, Any]) -> None:
        """`table` is `[tool.motools_build.executor.slurm]`. Raises InputError if it is
        wrong."""
        self._table = table
        self._options("model")

    def alike(self, kind: str) -> str:
        return repr(self._options(kind))

    def together(self, kind: str) -> int:
        return self._options(kind).together

    def submit(self, tasks: Sequence[Task], kind: str) -> None:
        options = self._options(kind)
        with sending(tasks) as (nonce, lock):
            for task in tasks:
                for folder in task:
                    script = written_script(folder, task, options.setup, options.python)
            words = [f"--comment={nonce}", "--requeue", *options.words]
            count = sum(map(len, tasks))
            if count == 1:
                log = os.path.abspath(folder.log)
                its = [f"--job-name={folder.name}", f"--output={log}"]
                its.append("--open-mode=append")
            else:  # each folder has its own log
                script = written_chooser(tasks, TASK)
                its = [f"--job-name=motools-{count}-stages", "--output=/dev/null"]
            if len(tasks) > 1:
                its.append(f"--array=0-{len(tasks) - 1}")
            id = slurm_commands.submit(str(script), [*its, *words], lock)
            for index, task in enumerate(tasks):
                for folder in task:
                    folder.submitted(f"{id}_{index}" if len(tasks) > 1 else id)

    def listing(self) -> Mapping[str, Listed]:
        return slurm_commands.listing()

    def cancel(self, id: str) -> None:
        slurm_commands.cancel(id)

    def fetch(self, folders: Iterable[JobFolder]) -> None:
        """Jobs write to their folders."""

    def forget(self, folder: JobFolder) -> None:
        """Slurm forgets by itself."""

    def why(self, id: str, listed: Listed | None, folder: JobFolder, kind: str) -> str:
        options = self._options(kind)
        state = listed.state if listed else "unknown"
        place = f"[{WHERE}.{SLURM}.{kind}]"
        job = f"Slurm job {id}"
        if state == "timeout":
            limit = options.time or "the partition's default"
            return (
                f"{job} reached its time limit ({limit}){of(folder)}: ask for more, "
                f'time = "..." in {place} of pyproject.toml; {AGAIN}'
            )
        if state == "out of memory":
            limit = options.memory or "the partition's default"
            return (
                f"{job} needed more memory than it had ({limit}){of(folder)}: "
                "ask for more, "
                f'memory = "..." in {place} of pyproject.toml; {AGAIN}'
            )
        if state in ("node fail", "boot fail"):
            return (
                f"the node of {job} failed, and Slurm did not queue it again; {AGAIN}"
            )
        if state == "cancelled":
            return (
                f"{job} was cancelled (doit cancel, scancel, or an administrator); "
                f"{AGAIN}"
            )
        if state == "deadline":
            return f"{job} could not end before its deadline; {AGAIN}"
        how = "Slurm does not know it any more" if listed is None else f"it is {state}"
        said = last_line(folder)
        told = f"; its script said last: {said}" if said else ""
        return f"{job} ended without a result ({how}){told}; {AGAIN}"

    def _options(self, kind: str) -> SlurmOptions:
        return options_of(SlurmOptions, SLURM, self._table, kind)


def of(folder: JobFolder) -> str:
    """That the job does several stages, in words, if it does."""
    count = len(folder.group)
    return f" while it did {count} stages in turn" if count > 1 else ""
