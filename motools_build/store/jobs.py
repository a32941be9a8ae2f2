"""The folders of jobs that a cluster does: `artifacts/jobs/<key>-a<attempt>/`.

A stage has such a folder from the moment at which its job is to be submitted, until the
stage's record is in the store, or its failure has been told. The files in it are the
truth about the job; the cluster's queue is asked only while there is no result.

    job.json         what is to be done, and for which project; written first
    inputs/          copies of the rows, so that an edit does not reach a queued job
    script           what the cluster runs
    submission.json  what the cluster knows the job by, if it was submitted with others
    cancelled        there if the job is to do nothing more
    submitted.json   the cluster's ID of the job
    lock             held by the process that does the job, so that there is only one
    sending          held while a submission is under way, by the program that submits;
                     one that is of several folders has the lock of the first of them
    work/            the job's work folder
    messages.jsonl   what the job tells meanwhile
    result.json      how the job ended; renamed to its place, last
    log              what the cluster's own script printed
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.stages import RESUME
from motools_build.store.files import delete, replace
from motools_build.store.records import check_format
from motools_build.task_code.reads import READ

FORMAT = 1


@dataclass(frozen=True)
class JobFolder:
    """The folder of one attempt at a stage's job."""

    path: Path

    @property
    def key(self) -> str:
        """The stage's key."""
        return self.path.name.rpartition("-a")[0]

    @property
    def attempt(self) -> int:
        return int(self.path.name.rpartition("-a")[2])

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def messages(self) -> Path:
        return self.path / "messages.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @cached_property
    def order(self) -> Mapping[str, Any]:
        """What `JobFolders.create` wrote. Raises ArtifactError if it cannot be read,
        and NewerFormat if a later version wrote it."""
        path = self.path / "job.json"
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
            check_format(found, str(path))
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"{path} cannot be read ({error}): end its job, if it has one (its "
                f"name is {self.name}), and remove {self.path}"
            ) from error
        return found

    @property
    def name(self) -> str:
        """The job's name in the cluster's queue."""
        return f"motools-{self.path.name}"

    @property
    def nonce(self) -> str:
        """What the cluster knows the job by if it is submitted alone."""
        return str(self.order["nonce"])

    @property
    def mark(self) -> str:
        """What a listing of the cluster knows the job by, as of its latest
        submission."""
        return str(self._submission.get("mark") or self.nonce)

    @property
    def _submission(self) -> Mapping[str, Any]:
        return self._read("submission.json")

    @property
    def group(self) -> list[JobFolder]:
        """The folders whose jobs one job of the cluster does, in their order, as of the
        latest submission; the folder alone, if that is all."""
        names = self._submission.get("group", [self.path.name])
        return [JobFolder(self.path.with_name(name)) for name in names]

    def is_sent(self, mark: str, lock: JobFolder, group: Sequence[JobFolder]) -> None:
        """Write down what the cluster will know the job by, before it is submitted,
        which folder's lock `sending` is held meanwhile, and whose jobs the same job of
        the cluster does."""
        if mark != self.mark or lock != self or len(group) > 1:
            told: dict[str, Any] = {"mark": mark, "lock": lock.path.name}
            if len(group) > 1:
                told["group"] = [one.path.name for one in group]
            replace(self.path / "submission.json", json.dumps(told).encode())

    @property
    def begun(self) -> bool:
        """Whether a process began the job, or has done it."""
        return self.messages.exists() or not self.path.is_dir()

    @property
    def cancelled(self) -> bool:
        """Whether the job is to do nothing more."""
        return (self.path / "cancelled").exists()

    def cancel(self) -> None:
        """Have the job do nothing more, whatever the cluster does. The process that
        does it, if there is one, ends it soon."""
        with suppress(FileNotFoundError):
            replace(self.path / "cancelled", b"")

    def uncancel(self) -> None:
        """Take a `cancel` back."""
        (self.path / "cancelled").unlink(missing_ok=True)

    def wait_until_sent(self) -> None:
        """Wait until no submission of the job is at work, of an earlier run that was
        killed. Raises FileNotFoundError if the folder is gone."""
        lock = JobFolder(
            self.path.with_name(self._submission.get("lock", self.path.name))
        )
        # a job of the submission whose folder is gone was done or ended: so it is over
        with suppress(FileNotFoundError), lock.locked("sending"):
            pass

    @property
    def executor(self) -> tuple[str, str]:
        """The name and the place of the cluster that has the job."""
        return str(self.order["executor"]), str(self.order.get("at", ""))

    @property
    def through(self) -> str:
        """Address of the shared store through which the job's files travel; empty if it
        works in this folder."""
        return str(self.order.get("through", ""))

    @property
    def id(self) -> str:
        """The cluster's ID of the job, as of its latest submission; empty as long as
        none is known."""
        found = self._read("submitted.json")
        if found and found.get("mark", self.nonce) == self.mark:
            return str(found["id"])
        return ""

    def submitted(self, id: str) -> None:
        """Write down the cluster's ID of the job."""
        told = {"id": id, "mark": self.mark}
        replace(self.path / "submitted.json", json.dumps(told).encode())

    def unsent(self) -> None:
        """Forget the cluster's ID of the job, which is to be submitted again."""
        (self.path / "submitted.json").unlink(missing_ok=True)

    @property
    def result(self) -> Mapping[str, Any] | None:
        """The job's last message, as `running.launch.messages` encodes it; None as long
        as there is none."""
        return self._read("result.json") or None

    @property
    def is_spent(self) -> bool:
        """Whether the files of the result became an artifact."""
        return self.result is not None and not self.work.is_dir()

    def finish(self, message: bytes) -> None:
        """Write the result, which must be the last that is written."""
        replace(self.path / "result.json", message)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:  # renamed to its place whole: the disk is damaged
            raise ArtifactError(
                f"{self.path / name} is damaged: remove {self.path}, and run again"
            ) from error
        return found

    @contextmanager
    def locked(self, name: str = "lock") -> Iterator[int]:
        """Hold one of the folder's locks; waits for it. Gives the lock's descriptor,
        which a child may inherit: then the lock is held until the child ends, too.
        Raises FileNotFoundError if the folder is gone."""
        handle = os.open(self.path / name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)

    def is_locked(self, name: str = "lock") -> bool:
        """Whether a process holds the lock, as far as the file system tells. Takes the
        lock for an instant, so whoever wants it must wait rather than give up."""
        try:
            handle = os.open(self.path / name, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def begin_work(self) -> None:
        """Empty the work folder, but for what an earlier beginning of the same job
        saved to go on from: a training's state, an eval's logs."""
        self.work.mkdir(exist_ok=True)
        for path in self.work.iterdir():
            if path.name not in (RESUME, READ) and path.suffix != ".eval":
                delete(path)

    def remove(self) -> None:
        """Remove the folder, which nobody finds any more from the first step on."""
        gone = self.path.with_name(f".{self.path.name}-{secrets.token_hex(4)}")
        with suppress(FileNotFoundError):
            self.path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
