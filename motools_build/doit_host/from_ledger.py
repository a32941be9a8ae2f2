"""The base of commands that need no setting, and `doit jobs`. Neither dodo.py nor zoo/
is imported for them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from json import dumps
from pathlib import Path
from typing import Any

from motools_build.doit_host.queries import Query
from motools_build.doit_host.session import begin, current
from motools_build.doit_host.terminal import InvalidCommand, of_the_system, reader_gone
from motools_build.errors import MotoolsError, SelectionError
from motools_build.project.selection import TAG
from motools_build.report.cluster_jobs import cluster_jobs, with_queue
from motools_build.report.paid_jobs import JobLine, jobs
from motools_build.running.stops import fits
from motools_build.store.artifacts import ArtifactStore


class FromLedger(Query):
    """A command that reads artifacts/ only, so it works even if settings are broken or
    gone."""

    variables: Mapping[str, str] = {}

    def execute(self, params: Any, args: list[str]) -> int:
        from doit import doit_cmd

        if self.helped(params):
            return 0
        _enter(params)
        try:
            begin(dict(doit_cmd._CMDLINE_VARS or {}))
            names = inspect.signature(self._execute).parameters
            given = {**params, "pos_args": args}
            code = int(self._execute(**{name: given[name] for name in names}))
            self.outstream.flush()
            return code
        except MotoolsError as error:
            raise InvalidCommand(str(error)) from error
        except BrokenPipeError:  # as in `doit jobs | head`
            return reader_gone()
        except OSError as error:
            raise of_the_system(error) from error


def _enter(params: Any) -> None:
    """Change to the folder of dodo.py, or to the one that doit's own options name.
    Raises InvalidCommand if that is no folder."""
    dodo = Path(params["dodoFile"])
    if params["seek_file"] and not dodo.is_absolute():
        above = (folder / dodo for folder in (Path.cwd(), *Path.cwd().parents))
        dodo = next((path for path in above if path.exists()), dodo)
    folder = Path(params["cwdPath"] or dodo.parent)
    if not folder.is_dir():
        raise InvalidCommand(f"{folder} is no folder")
    os.chdir(folder)


def every_job(store: ArtifactStore) -> list[JobLine]:
    """All jobs of this folder: at providers, the oldest first, then at clusters."""
    return jobs(store) + cluster_jobs(store)


def jobs_of(store: ArtifactStore, words: list[str]) -> list[JobLine]:
    """The jobs that the words match: job IDs, keys, settings, stages and patterns.

    Raises SelectionError for a word that matches no job.
    """
    there = every_job(store)
    found: dict[int, JobLine] = {}
    for word in words:
        meant = {
            number: job
            for number, job in enumerate(there)
            if word == job.id or fits(word, job.stage, job.key)
        }
        if not meant:
            why = " (a tag is known to settings alone)" if word.startswith(TAG) else ""
            raise SelectionError(
                f"no job that could be meant by {word!r}{why}; `doit jobs` lists them"
            )
        found.update(meant)
    return [found[number] for number in sorted(found)]


class Jobs(FromLedger):
    """`doit jobs`: lists every job of this folder."""

    name = "jobs"
    doc_purpose = "list jobs at providers and clusters: ID, state, age, account, cost"
    doc_usage = "[SETTING|STAGE|PATTERN|KEY|JOB...]"
    doc_description = (
        "Without names, all. Of providers, what the last run saw; nobody is asked but "
        "Slurm's queue, if it has a job of this folder."
    )

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        from motools_build.report.drawing.console import console_of
        from motools_build.report.drawing.jobs import print_jobs

        store = current().project.store
        found = jobs_of(store, pos_args) if pos_args else every_job(store)
        found = with_queue(found, store)
        if json:
            self._say(dumps([job.as_json() for job in found], ensure_ascii=False))
            return 0
        print_jobs(found, console_of(self.outstream))
        for job in found:
            if job.message:
                self._say(f"{job.id or job.stage}: {job.message}")
        return 0
