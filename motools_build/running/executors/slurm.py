"""Slurm as a cluster: jobs by `sbatch`, `squeue` and `scancel`.

A job's comment is its nonce. Its files lie on a disk that the nodes share with this
machine, under the same paths.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from motools_build.running.executors import SLURM, slurm_commands
from motools_build.running.executors.cluster import Listed
from motools_build.running.executors.job_folders import last_line, written_script
from motools_build.running.executors.options import WHERE, options_of
from motools_build.running.executors.slurm_options import SlurmOptions
from motools_build.store.jobs import JobFolder


class Slurm:
    """A `Cluster`: the Slurm whose commands are on this machine."""

    name, label, place, through = SLURM, "Slurm", "", ""

    def __init__(self, table: Mapping[str, Any]) -> None:
        """`table` is `[tool.motools_build.executor.slurm]`. Raises InputError if it is
        wrong."""
        self._table = table
        self._options("model")

    def submit(self, folder: JobFolder, kind: str) -> str:
        options = self._options(kind)
        words = [
            f"--job-name={folder.name}",
            f"--comment={folder.nonce}",
            f"--output={os.path.abspath(folder.log)}",
            "--open-mode=append",
            "--requeue",
            *options.words,
        ]
        script = written_script(folder, options.setup, options.python)
        with folder.locked("sending") as lock:
            id = slurm_commands.submit(str(script), words, lock)
            folder.submitted(id)
        return id

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
        again = "what it saved is kept, and the next run goes on from there"
        if state == "timeout":
            limit = options.time or "the partition's default"
            return (
                f"{job} reached its time limit ({limit}): ask for more, "
                f'time = "..." in {place} of pyproject.toml; {again}'
            )
        if state == "out of memory":
            limit = options.memory or "the partition's default"
            return (
                f"{job} needed more memory than it had ({limit}): ask for more, "
                f'memory = "..." in {place} of pyproject.toml; {again}'
            )
        if state in ("node fail", "boot fail"):
            return (
                f"the node of {job} failed, and Slurm did not queue it again; {again}"
            )
        if state == "cancelled":
            return (
                f"{job} was cancelled (doit cancel, scancel, or an administrator); "
                f"{again}"
            )
        if state == "deadline":
            return f"{job} could not end before its deadline; {again}"
        how = "Slurm does not know it any more" if listed is None else f"it is {state}"
        said = last_line(folder)
        told = f"; its script said last: {said}" if said else ""
        return f"{job} ended without a result ({how}){told}; {again}"

    def _options(self, kind: str) -> SlurmOptions:
        return options_of(SlurmOptions, SLURM, self._table, kind)
