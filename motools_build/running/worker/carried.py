"""Doing a job whose files travel through a shared store (`store/shared/parcels.py`), on
a node that shares no disk with the run.

The job gets a folder of its own, in which a second process does it as on any other
node (`folder.py`). This one carries to the store what that one writes.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from motools_build.backends import registry
from motools_build.backends.job import Given, Progress, StageJob
from motools_build.errors import (
    BaseModelError,
    MotoolsError,
    StageFailed,
    StoreError,
    text_of,
)
from motools_build.keys import digest_file
from motools_build.params import AskParams, BaseParams, ModelParams
from motools_build.running.launch.messages import Failed, Request, encode
from motools_build.running.versions import versions
from motools_build.specs import ModelName
from motools_build.stages import RESUME
from motools_build.store.jobs import JobFolder
from motools_build.store.payload import entries
from motools_build.store.shared.address import Address
from motools_build.store.shared.objects import Objects
from motools_build.store.shared.parcels import Parcels
from motools_build.task_code.reads import READ

TELL = 2.0
"""Seconds between two looks at what the job has told."""

KEEP = 30.0
"""Least number of seconds between two copies of what the job saved to go on from."""

SHARE = 10.0
"""Such a copy waits for at least this many times as long as the one before took."""

PATIENCE = 3600.0
"""Seconds for which a result waits for a store that does not answer."""


def main(address: str, name: str) -> int:
    """Do the job of that name in the store at an address; returns the exit code.
    Nothing is done if the job has its result, or if nobody waits for it any more."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parcels = Parcels(Objects(Address.parse(address)))
    order = parcels.order(name)
    if order is None:
        print(
            f"{parcels.address} has no {name}: it has ended, or is wanted no more; or "
            "it is another store than the run's"
        )
        return 0
    with tempfile.TemporaryDirectory(prefix="motools-") as root:
        os.chdir(root)
        key = str(order["uses"][0])
        try:
            folder = _unpacked(parcels, order, Path())
        except (MotoolsError, OSError) as error:
            if isinstance(error, StoreError):  # it cannot be told there
                raise
            parcels.finish(
                name,
                json.loads(encode(Failed(key, type(error).__name__, text_of(error)))),
                None,
            )
            return 1
        return _Carrier(parcels, name, folder).carry()


def _unpacked(parcels: Parcels, order: Mapping[str, Any], root: Path) -> JobFolder:
    """The job's folder on this machine, with all that the job needs around it."""
    here = versions()["motools_build"]
    if order["version"] != here:
        raise StageFailed(
            f"the node has motools_build {here}, and the run "
            f"{order['version']}: install the same on the nodes"
        )
    parcels.place(order, root)
    for program in order["programs"]:
        (root / program).chmod(0o755)
    request = Request.decode(order["request"].encode())
    (job,) = request.jobs
    sent = replace(job, given=_with_bases(job, Path(order["folder"])))
    folder = JobFolder(root / "artifacts/jobs" / order["job"])
    for path in (folder.path, root / "artifacts/logs"):
        path.mkdir(parents=True, exist_ok=True)
    own = {
        **order,
        "folder": os.getcwd(),
        "request": replace(request, jobs=(sent,)).encode().decode(),
    }
    (folder.path / "job.json").write_text(json.dumps(own))
    return folder


def _with_bases(job: StageJob, project: Path) -> dict[str, Given]:
    """The job's inputs, with the paths that base models have on this machine. Those
    that are not here are fetched from where everybody fetches them. `project` is where
    the run has the project."""
    found = {}
    for role, given in job.given.items():
        kind, _, named = role.partition(":")
        if kind == "base":
            given = _base(named or _model_of(job), given, project)
        found[role] = given
    return found


def _base(name: str, given: Given, project: Path) -> Given:
    model = ModelName.parse(name)
    backend = registry.get(model.backend)
    _link(model.model, project)

    def report(progress: Progress) -> None:
        print(f"{name}: {progress.note or progress.unit}", flush=True)

    there = backend.local_file(given.output) if given.details.get("local") else None
    if there is None:
        params = BaseParams(name, given.output)
        with tempfile.TemporaryDirectory() as work:
            job = StageJob("base", model.backend, "", f"base:{name}", params, work)
            asyncio.run(backend.make(job, report))
    if not given.details.get("local"):
        return given
    path = there or backend.local_file(given.output)
    if path is None or digest_file(path) != given.output:
        raise BaseModelError(
            f"{name}: the weights on the node are not those that the run has; remove "
            f"{path} there"
        )
    return replace(given, path=str(path))


def _link(model: str, project: Path) -> None:
    """Have a model whose name is a path from the project be found from here, where the
    project is not. Raises BaseModelError if the node has none under the same path."""
    if not model.startswith(("./", "../")):
        return
    there, here = Path(os.path.abspath(project / model)), Path(model)
    if not there.is_dir():
        raise BaseModelError(
            f"the node has no folder {there}: weights do not travel; put them there"
        )
    if os.path.normpath(model).split(os.sep)[0] == "..":
        raise BaseModelError(
            f"{model} is outside the project, which the node does not have: give the "
            f"folder's whole path, {there}"
        )
    if not os.path.lexists(here):
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to(there)


def _model_of(job: StageJob) -> str:
    """The name of the model whose weights the job begins with, or asks."""
    if isinstance(job.params, ModelParams):
        trainer = job.params.trainer
        return trainer.base if trainer else job.params.model
    return AskParams.of(job).subject.asked


class _Carrier:
    """Has a job done by a second process, and carries what it writes to the store."""

    def __init__(self, parcels: Parcels, name: str, folder: JobFolder) -> None:
        self._parcels = parcels
        self._name = name
        self._folder = folder
        self._told: dict[str, int] = {}
        """What was told -> its length in bytes."""
        self._kept: dict[str, tuple[int, int]] = {}
        """What was kept: path -> size, time of its last change."""
        self._n = 0
        self._next_keep = time.monotonic() + KEEP

    def carry(self) -> int:
        """Do the job; returns the exit code. A store that does not answer is asked
        again; only the result must arrive."""
        do = [sys.executable, "-m", "motools_build.running.worker", "--folder"]
        with subprocess.Popen([*do, str(self._folder.path)]) as process:
            try:
                while process.poll() is None:
                    self._try(self._tell)
                    if time.monotonic() >= self._next_keep:
                        self._try(self._keep)
                    try:
                        process.wait(TELL)
                    except subprocess.TimeoutExpired:
                        continue
            except SystemExit:  # stopped: what was saved is not to be lost
                process.kill()
                self._try(self._keep)
                raise
            finally:
                process.kill()
        self._try(self._tell)
        result = self._folder.result
        if result is None:
            self._try(self._keep)
            return process.returncode or 1
        work = self._folder.work
        files = {
            path.relative_to(work).as_posix(): path
            for path in entries(work)
            if path.is_file()
        }
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self._parcels.finish(self._name, result, files)
                return 0
            except StoreError as error:
                if time.monotonic() >= end:
                    raise
                print(f"{error}; asks again", file=sys.stderr, flush=True)
                time.sleep(TELL)

    def _try(self, act: Any) -> None:
        """Act, unless that fails now: the job is worth more than a copy of what it has
        told or saved. Its files come and go meanwhile, and a copy may find no room."""
        try:
            act()
        except (StoreError, OSError) as error:
            print(f"{error}; tries again", file=sys.stderr, flush=True)

    def _tell(self) -> None:
        request = Request.decode(self._folder.order["request"].encode())
        for what, path in (("messages", self._folder.messages), ("log", request.log)):
            data = path.read_bytes() if path.exists() else b""
            if what == "messages":  # whole lines
                data = data[: data.rfind(b"\n") + 1]
            if len(data) != self._told.get(what, 0):
                self._parcels.tell(self._name, what, data)
                self._told[what] = len(data)

    def _keep(self) -> None:
        """Copy what a later attempt would go on from, if it changed and does not change
        meanwhile. Raises StoreError and OSError."""
        began = time.monotonic()
        try:
            if not self._copied():
                return
        except FileNotFoundError:  # the job replaced it meanwhile
            return
        except (StoreError, OSError):
            self._next_keep = time.monotonic() + KEEP
            raise
        pause = max(KEEP, SHARE * (time.monotonic() - began))
        self._next_keep = time.monotonic() + pause

    def _copied(self) -> bool:
        """Whether there was something new, of which the store has a copy now."""
        state = self._state()
        if not state or state == self._kept:
            return False
        with tempfile.TemporaryDirectory() as place:
            copies = {path: Path(place) / path for path in state}
            for path, copy in copies.items():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._folder.work / path, copy)
            if self._state() != state:
                return False
            self._parcels.keep(self._name, self._n + 1, copies)
        self._n, self._kept = self._n + 1, state
        return True

    def _state(self) -> dict[str, tuple[int, int]]:
        work = self._folder.work
        if not work.is_dir():
            return {}
        return {
            path.relative_to(work).as_posix(): (
                (told := path.stat()).st_size,
                told.st_mtime_ns,
            )
            for path in entries(work)
            if path.is_file()
            and (
                path.relative_to(work).parts[0] in (RESUME, READ)
                or path.suffix == ".eval"
            )
        }
