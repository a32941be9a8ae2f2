"""Ray as a cluster: jobs by Ray Jobs, with submission IDs of our own.

A job's submission ID is its folder's name and nonce, and Ray accepts each ID once: so
there is never a second job of a submission, whatever answer gets lost.

Its files lie on a disk that the nodes share with this machine, under the same paths.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from motools_build.errors import Ambiguous, InputError, Refused, Unreachable
from motools_build.running.executors import RAY
from motools_build.running.executors.cluster import Listed, Phase
from motools_build.running.executors.job_folders import last_line, written_script
from motools_build.running.executors.options import WHERE, options_of
from motools_build.running.executors.ray_api import RayApi, address_of
from motools_build.running.executors.ray_options import RayOptions
from motools_build.running.launch.base import worker_environment
from motools_build.store.jobs import JobFolder

PHASES: Mapping[str, Phase] = {
    "PENDING": "waits",
    "STOPPED": "over",
    "SUCCEEDED": "over",
    "FAILED": "over",
}
"""Ray's states; unknown ones are of jobs that are at work."""

START_TIMEOUT = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
"""Ray's type of the error of a job that waited for longer than RAY_JOB_START_TIMEOUT_
SECONDS, by default a quarter of an hour: Ray's queue is not made for longer waits."""

START_FAILURE = "JOB_SUPERVISOR_ACTOR_START_FAILURE"
NAME_TAKEN = "is already taken"
"""Type and part of the error if a job's ID was free before Ray's own process for its
last submission had ended: the next attempt succeeds."""


class Ray:
    """A `Cluster`: the Ray whose dashboard is at an address."""

    name, label = RAY, "Ray"

    def __init__(self, table: Mapping[str, Any], place: str | None = None) -> None:
        """`table` is `[tool.motools_build.executor.ray]`; `place` is the address of the
        cluster, if a job is at another one than the present. Raises InputError if the
        table is wrong."""
        given = table.get("address")
        if given is not None and not isinstance(given, str):
            raise InputError(
                f"pyproject.toml: [{WHERE}.{RAY}] address is a text, not {given!r}"
            )
        self._table = {key: value for key, value in table.items() if key != "address"}
        self._options("model")
        configured = address_of(given) if given else None
        self.place = place or configured or address_of(None)
        self._api = RayApi(self.place)

    def submit(self, folder: JobFolder, kind: str) -> str:
        options, id = self._options(kind), f"{folder.name}-{folder.nonce}"
        log = shlex.quote(os.path.abspath(folder.log))
        setup = [f"exec >> {log} 2>&1", *environment(), *options.setup]
        script = written_script(folder, setup, options.python)
        entrypoint = f"bash {shlex.quote(os.path.abspath(script))}"
        if not self._api.submit(id, entrypoint, options.fields) and self._freed(id):
            self._api.submit(id, entrypoint, options.fields)
        folder.submitted(id)
        return id

    def _freed(self, id: str) -> bool:
        """Whether Ray has no job of the ID any more, which it has if the job never
        began. Raises Ambiguous if Ray does not answer."""
        try:
            there = self._api.job(id)
            if there is None or _listed(there).phase != "never began":
                return there is None
            self._api.delete(id)
        except (Unreachable, Refused) as error:
            raise Ambiguous(str(error)) from error
        return True

    def listing(self) -> Mapping[str, Listed]:
        jobs = {str(job.get("submission_id")): job for job in self._api.jobs()}
        return {
            id.rpartition("-")[2]: _listed(job)
            for id, job in jobs.items()
            if id.startswith("motools-")
        }

    def cancel(self, id: str) -> None:
        self._api.stop(id)

    def fetch(self, folders: Iterable[JobFolder]) -> None:
        """Jobs write to their folders."""

    def forget(self, folder: JobFolder) -> None:
        """Ray's own list of jobs that have ended stays as it is."""

    def why(self, id: str, listed: Listed | None, folder: JobFolder, kind: str) -> str:
        again = "what it saved is kept, and the next run goes on from there"
        job = f"Ray job {id}"
        if listed is None:
            return (
                f"{job} ended without a result (the Ray at {self.place} does not know "
                f"it any more: its head was started anew?); {again}"
            )
        if listed.state == "stopped":
            return f"{job} was stopped (doit cancel, ray job stop); {again}"
        said = last_line(folder)
        told = f"; its script said last: {said}" if said else ""
        why = f"it {listed.state}" + (f": {listed.reason}" if listed.reason else "")
        return f"{job} ended without a result ({why}){told}; {again}"

    def _options(self, kind: str) -> RayOptions:
        return options_of(RayOptions, RAY, self._table, kind)


def environment() -> list[str]:
    """Lines of a script that make a node's environment that of a worker."""
    given = worker_environment({})
    return [
        'unset "${!INSPECT_@}"',
        *(f"export {name}={shlex.quote(value)}" for name, value in given.items()),
    ]


def _listed(job: Mapping[str, Any]) -> Listed:
    """A job as Ray tells of it."""
    state = str(job.get("status"))
    phase = PHASES.get(state, "runs")
    reason = (str(job.get("message") or "").splitlines() or [""])[0][:300]
    if job.get("error_type") == START_TIMEOUT:
        phase = "never began"
        reason = "no node had room for it in the time that Ray lets a job wait"
    elif job.get("error_type") == START_FAILURE and NAME_TAKEN in reason:
        phase = "never began"
    elif phase == "waits":
        reason = "waits for a node with room"
    elif phase == "runs":
        reason = ""
    node = urlsplit(str(job.get("driver_agent_http_address") or "")).hostname
    nodes = node or "" if phase == "runs" else ""
    return Listed(str(job["submission_id"]), state.lower(), phase, reason, nodes)
