"""The server's state: files, uploads, jobs and the models that they made.

Callers pass the time, in seconds since the epoch; nothing here waits or reads a clock.
"""

from __future__ import annotations

import hashlib
import math
import random
import secrets
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from motools_build.rehearsal.fine_tuning import FINAL, FineTuningJob
from motools_build.rehearsal.objects import (
    ALIASES,
    BASES,
    PURPOSES,
    Born,
    File,
    Model,
    Settings,
    Upload,
)
from motools_build.rehearsal.orders import Order
from motools_build.rehearsal.refused import Refused, bad, missing, no_model
from motools_build.rehearsal.training import Reading, results

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
Item = TypeVar("Item", bound=Born)


class Space:
    """The objects that one pair of organization and project sees."""

    def __init__(self, state: State, organization: str, project: str) -> None:
        self.state = state
        self.organization = organization or "org-rehearsal"
        self.project = project
        self.files: dict[str, File] = {}
        self.uploads: dict[str, Upload] = {}
        self.jobs: dict[str, FineTuningJob] = {}
        self.models: dict[str, Model] = {}
        self.deleted: set[str] = set()
        self._named: dict[str, FineTuningJob] = {}
        """ID of the model that a job makes -> job."""
        self._unfinished: dict[str, FineTuningJob] = {}
        self._due = 0.0
        """When the next job ends or the next file expires."""

    def settle(self, now: float) -> None:
        """Add the models and results files of jobs that have succeeded, and remove
        files that have expired."""
        if now < self._due:
            return
        over = [job for job in self._unfinished.values() if job.status(now) in FINAL]
        for job in over:
            del self._unfinished[job.id]
            if job.status(now) == "succeeded":
                valid = job.order.validation_file is not None
                data = results(job.seed, job.steps, valid)
                self.files[job.result_file] = File(
                    job.result_file,
                    job.finish,
                    "step_metrics.csv",
                    "fine-tune-results",
                    data,
                )
                self.models[job.name] = Model(job.name, job.finish, job.root, job)
        gone = [f for f in self.files.values() if f.expires and f.expires <= now]
        for file in gone:
            del self.files[file.id]
        finish = [j.finish for j in self._unfinished.values() if j.paused is None]
        expiry = [float(f.expires) for f in self.files.values() if f.expires]
        self._due = min([*finish, *expiry], default=math.inf)

    def retime(self, seconds: float, now: float) -> None:
        """Set the duration of unfinished jobs."""
        for job in self._unfinished.values():
            job.retime(seconds, now if job.paused is None else job.paused)
        self._due = 0

    def resume(self, job: FineTuningJob, now: float) -> None:
        job.resume(now)
        self._due = 0

    def listed(self, items: Iterable[Item], now: float) -> Iterator[Item]:
        """The items that lists show already, after the list lag."""
        latest = now - self.state.settings.list_lag
        return (item for item in items if item.born <= latest)

    def add_file(
        self,
        filename: str,
        purpose: str,
        data: bytes,
        now: float,
        expires_after: int | None = None,
    ) -> File:
        if purpose not in PURPOSES:
            raise bad(
                f"'{purpose}' is not one of {list(PURPOSES)} - 'purpose'", "purpose"
            )
        expires = int(now) + expires_after if expires_after else None
        file = File(self.state.new_id("file"), now, filename, purpose, data, expires)
        self.files[file.id] = file
        if expires:
            self._due = min(self._due, expires)
        return file

    def file(self, name: str) -> File:
        if name not in self.files:
            raise missing("File", name)
        return self.files[name]

    def processed(self, file: File, now: float) -> bool:
        return now >= file.born + self.state.settings.processing

    def upload(self, name: str) -> Upload:
        """A pending upload. Raises Refused if it is unknown or not pending."""
        if name not in self.uploads:
            raise missing("Upload", name, "upload_id")
        upload = self.uploads[name]
        if upload.status != "pending":
            raise bad(f"Upload {name} is {upload.status}.", "upload_id")
        return upload

    def complete(
        self, upload: Upload, parts: list[str], md5: str | None, now: float
    ) -> Upload:
        """Make a file of an upload's parts, in the order given. Raises Refused."""
        for part in parts:
            if part not in upload.parts:
                raise bad(f"No such Part object: {part}", "part_ids")
        data = b"".join(upload.parts[part] for part in parts)
        if len(data) != upload.size:
            raise bad(
                f"Upload {upload.id} has {len(data)} bytes, and was created for "
                f"{upload.size}.",
                "bytes",
            )
        if md5 and hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
            raise bad("The md5 checksum is another than that of the parts.", "md5")
        upload.file = self.add_file(upload.filename, upload.purpose, data, now)
        upload.status, upload.parts = "completed", {}
        return upload

    def model(self, name: str, now: float) -> Model:
        """A base model, a job's model, or a checkpoint, by its ID. Raises Refused."""
        name = ALIASES.get(name, name)
        if name in BASES:
            return Model(name, BASES[name], name)
        whole, _, step = name.partition(":ckpt-step-")
        if name in self.deleted:
            raise no_model(name)
        if not step:
            if name not in self.models:
                raise no_model(name)
            return self.models[name]
        job = self._named.get(whole)
        for checkpoint in job.checkpoints(now) if job else ():
            if checkpoint["fine_tuned_model_checkpoint"] == name:
                assert job is not None
                return Model(name, checkpoint["created_at"], job.root, job)
        raise no_model(name)

    def delete_model(self, name: str, now: float) -> None:
        model = self.model(name, now)
        if model.job is None:
            raise Refused(403, "You have insufficient permissions for this operation.")
        self.models.pop(name, None)
        self.deleted.add(name)

    def prepare(self, order: Order, now: float) -> FineTuningJob:
        """A job for an order, which `start` adds to this space. Raises Refused."""
        try:
            base = self.model(order.model, now)
        except Refused:
            raise bad(
                f"Model {order.model} is not available for fine-tuning or does not "
                "exist.",
                None,
                "model_not_available",
            ) from None
        reading = self._usable("training_file", order.training_file, order.method, now)
        complaint, param = reading.complaint(), "training_file"
        if order.validation_file is not None and not complaint:
            valid = self._usable(
                "validation_file", order.validation_file, order.method, now
            )
            complaint, param = valid.complaint(1), "validation_file"
        error = complaint and {
            "code": f"invalid_{param}",
            "param": param,
            "message": f"The job failed due to an invalid {param.replace('_', ' ')}. "
            + complaint,
        }
        return FineTuningJob(
            id=self.state.new_id("ftjob"),
            order=order,
            root=base.root,
            seed=self.state.seed() if order.seed is None else order.seed,
            organization=self.organization,
            born=now,
            reading=reading,
            error=error or None,
            moderated=False,
            result_file=self.state.new_id("file"),
        )

    def start(self, job: FineTuningJob) -> None:
        job.retime(self.state.settings.seconds, job.born)
        self.jobs[job.id] = self._unfinished[job.id] = self._named[job.name] = job
        self._due = min(self._due, job.finish)

    def _usable(self, param: str, name: str, method: str, now: float) -> Reading:
        """The parsed content of a file. Raises Refused if no job can use the file."""
        file, code = self.files.get(name), f"invalid_{param}"
        if file is None:
            raise bad(f"File '{name}' does not exist.", param, code)
        if file.purpose != "fine-tune":
            raise bad(
                f"File '{name}' has purpose '{file.purpose}', not 'fine-tune'.",
                param,
                code,
            )
        if not self.processed(file, now):
            raise bad(f"File '{name}' is still being processed.", param, code)
        return file.read(method)

    def job(self, name: str) -> FineTuningJob:
        if name not in self.jobs:
            raise Refused(
                404,
                f"Could not find fine tune: {name}",
                "fine_tune_not_found",
                "fine_tune_id",
            )
        return self.jobs[name]


class State:
    """All spaces, and the settings."""

    def __init__(self, settings: Settings, seed: int = 0) -> None:
        self.settings = settings
        self.spaces: dict[tuple[str, str], Space] = {}
        self._random = random.Random(f"seeds of jobs, {seed}")
        self._start = "".join(secrets.choice(DIGITS) for _ in range(6))
        self._count = 0

    def space(self, organization: str, project: str, now: float) -> Space:
        pair = (organization, project)
        if pair not in self.spaces:
            self.spaces[pair] = Space(self, organization, project)
        self.spaces[pair].settle(now)
        return self.spaces[pair]

    def change(self, given: Any, now: float) -> None:
        """Change settings, also of unfinished jobs. Raises InputError."""
        self.settings.change(given)
        for space in self.spaces.values():
            space.settle(now)
            if "seconds" in given:
                space.retime(self.settings.seconds, now)

    def new_id(self, kind: str) -> str:
        """An ID like `file-k3x90a00000c`: ascending, and unlike other servers' IDs."""
        self._count += 1
        number, digits = self._count, ""
        for _ in range(6):
            number, digit = divmod(number, 36)
            digits = DIGITS[digit] + digits
        return f"{kind}-{self._start}{digits}"

    def seed(self) -> int:
        """A random seed, for a job whose order has none."""
        return self._random.randrange(2**31)

    def to_json(self, now: float) -> dict[str, Any]:
        """All objects as JSON, also those that lists do not show yet."""
        found: dict[str, Any] = {"files": [], "uploads": [], "jobs": [], "models": []}
        for (organization, project), space in self.spaces.items():
            space.settle(now)
            scope = {"organization": organization, "project": project}
            found["files"] += [
                {**file.to_json(space.processed(file, now)), **scope}
                for file in space.files.values()
            ]
            found["uploads"] += [
                {**upload.to_json(), **scope} for upload in space.uploads.values()
            ]
            found["jobs"] += [
                {**job.to_json(now), **scope} for job in space.jobs.values()
            ]
            found["models"] += [
                {**model.to_json(), **scope} for model in space.models.values()
            ]
        return found
