"""Ray as a cluster: jobs by Ray Jobs, with submission IDs of our own.

A job's submission ID is made of its nonce, and Ray accepts each ID once: so there is
never a second job of a submission, whatever answer gets lost.

Its files lie on a disk that the nodes share with this machine, under the same paths, or
travel through the team's store (`through_store`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from motools_build.errors import (
    Ambiguous,
    InputError,
    Refused,
    StoreError,
    Unreachable,
)
from motools_build.running.executors import RAY
from motools_build.running.executors.carrying import files_of, programs
from motools_build.running.executors.cluster import AGAIN, Listed, Phase, Task
from motools_build.running.executors.job_folders import (
    WORKER,
    begin,
    last_line,
    last_of,
    sending,
    written_script,
)
from motools_build.running.executors.options import WHERE, options_of
from motools_build.running.executors.ray_api import RayApi, address_of
from motools_build.running.executors.ray_options import RayOptions
from motools_build.running.launch.base import worker_environment
from motools_build.running.versions import versions
from motools_build.store.jobs import JobFolder
from motools_build.store.shared.address import Address
from motools_build.store.shared.objects import Objects
from motools_build.store.shared.parcels import Parcels

PHASES: Mapping[str, Phase] = {
    "PENDING": "waits",
    "STOPPED": "over",
    "SUCCEEDED": "over",
    "FAILED": "over",
}
"""Ray's states; unknown ones are of jobs that are at work."""

OWN = ("address", "through_store")
"""Fields of the executor's table that are the same for all jobs."""

PREFIX = "motools-"
"""Beginning of the submission IDs of all our jobs."""

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
    most = 1

    def __init__(
        self,
        table: Mapping[str, Any],
        place: str | None = None,
        store: str | None = None,
    ) -> None:
        """`table` is `[tool.motools_build.executor.ray]`; `place` is the address of the
        cluster, if a job is at another one than the present; `store` is the address of
        the team's store, empty if there is none, None if jobs are only listed and
        ended. Raises InputError if the table is wrong."""
        own = {key: table[key] for key in OWN if key in table}
        for key, kind in (("address", str), ("through_store", bool)):
            if not isinstance(own.get(key, kind()), kind):
                what = "a text" if kind is str else "true or false"
                raise InputError(
                    f"pyproject.toml: [{WHERE}.{RAY}] {key} is {what}, not {own[key]!r}"
                )
        self._table = {key: value for key, value in table.items() if key not in own}
        self._options("model")
        if own.get("through_store") and store == "":
            raise InputError(
                f"pyproject.toml: [{WHERE}.{RAY}] through_store needs the store that "
                "files are to travel through: [tool.motools_build] store = "
                '"s3://bucket/prefix"'
            )
        through = store if store and own.get("through_store") else ""
        self.through = str(Address.parse(through)) if through else ""
        configured = address_of(given) if (given := own.get("address")) else None
        self.place = place or configured or address_of(None)
        self._api = RayApi(self.place)
        if place is None:
            self._api.check()
        self._parcels: dict[str, Parcels] = {}

    def alike(self, kind: str) -> str:
        return repr(self._options(kind))

    def together(self, kind: str) -> int:
        return self._options(kind).together

    def submit(self, tasks: Sequence[Task], kind: str) -> None:
        (task,) = tasks
        with sending(tasks) as (nonce, _):
            self._submit(task, self._options(kind), PREFIX + nonce)

    def _submit(self, task: Task, options: RayOptions, id: str) -> None:
        """Submit a task's job with that ID."""
        folder = task[0]
        if through := folder.through:
            files = files_of(folder)
            order = {
                **folder.order,
                "programs": programs(files),
                "job": folder.path.name,
                "version": versions()["motools_build"],
            }
            self._of(through).send(id, order, files)
            do = [options.python or "python", *WORKER, "--store", through, "--job", id]
            lines = [*environment(), *options.setup, f"exec {shlex.join(do)}"]
            entrypoint = shlex.join(["bash", "-c", "\n".join(lines)])
        else:
            for one in task:
                log = shlex.quote(os.path.abspath(one.log))
                setup = [f"exec >> {log} 2>&1", *environment(), *options.setup]
                script = written_script(one, task, setup, options.python)
            entrypoint = f"bash {shlex.quote(os.path.abspath(script))}"
            if len(task) > 1:
                entrypoint = shlex.join(["bash", "-c", begin(task)])
        told = {"job": folder.name, "stage": str(folder.order["stage"])}
        fields = {**options.fields, "metadata": told}
        if not self._api.submit(id, entrypoint, fields) and self._freed(id):
            self._api.submit(id, entrypoint, fields)
        for one in task:
            one.submitted(id)

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
            id.removeprefix(PREFIX): _listed(job)
            for id, job in jobs.items()
            if id.startswith(PREFIX)
        }

    def cancel(self, id: str) -> None:
        self._api.stop(id)

    def fetch(self, folders: Iterable[JobFolder]) -> None:
        by_store: dict[str, dict[str, JobFolder]] = {}
        for folder in folders:
            if folder.through:
                by_store.setdefault(folder.through, {})[id_of(folder)] = folder
        for store, wanted in by_store.items():
            try:
                self._of(store).fetch(wanted)
            except StoreError as error:
                raise Unreachable(str(error)) from error

    def forget(self, folder: JobFolder) -> None:
        """Bring what a job without a result has saved, and remove what the store has of
        it. Ray's own list of jobs that have ended stays as it is."""
        if folder.through:
            parcels = self._of(folder.through)
            if folder.result is None:
                parcels.saved(id_of(folder), folder.work)
            parcels.forget(id_of(folder))

    def why(self, id: str, listed: Listed | None, folder: JobFolder, kind: str) -> str:
        job = f"Ray job {id}"
        if listed is None:
            return (
                f"{job} ended without a result (the Ray at {self.place} does not know "
                f"it any more: its head was started anew?); {AGAIN}"
            )
        if listed.state == "stopped":
            return f"{job} was stopped (doit cancel, ray job stop); {AGAIN}"
        said = last_line(folder) or self._printed(id)
        told = f"; its script said last: {said}" if said else ""
        why = f"it {listed.state}" + (f": {listed.reason}" if listed.reason else "")
        return f"{job} ended without a result ({why}){told}; {AGAIN}"

    def _printed(self, id: str) -> str:
        """The last line that a job printed, as Ray has it; empty if there is none."""
        try:
            return last_of(self._api.logs(id))
        except (Unreachable, Refused):
            return ""

    def _of(self, store: str) -> Parcels:
        """The jobs that travel through a store."""
        if store not in self._parcels:
            self._parcels[store] = Parcels(Objects(Address.parse(store)))
        return self._parcels[store]

    def _options(self, kind: str) -> RayOptions:
        return options_of(RayOptions, RAY, self._table, kind, OWN)


def id_of(folder: JobFolder) -> str:
    """The submission ID of a folder's job."""
    return PREFIX + folder.nonce


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
