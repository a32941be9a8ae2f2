"""All folders of jobs that a cluster does (`store/jobs.py`)."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.store.files import delete, replace
from motools_build.store.jobs import FORMAT, JobFolder


class JobFolders:
    """The folders below `artifacts/jobs/`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root / "jobs"

    def __iter__(self) -> Iterator[JobFolder]:
        for path in sorted(self.folder.glob("[!.]*-a*")):
            yield JobFolder(path)

    def of(self, key: str) -> JobFolder | None:
        """The stage's job folder; None if it has none."""
        found = [JobFolder(path) for path in self.folder.glob(f"{key}-a*")]
        return max(found, key=lambda one: one.attempt, default=None)

    def take_up(self, key: str) -> JobFolder | None:
        """As `of`, for a run that is to have the job done or to take its result. If an
        earlier run was killed while it made the folder, what the stage's own work
        folder holds becomes the job's now."""
        found = self.of(key)
        if found and found.result is None and any(self._own(key).glob("*")):
            self._give(found)
        return found

    def keys(self) -> set[str]:
        """The keys that jobs use: their own, and those of their inputs. A job whose
        file is damaged is known by its own key alone."""
        found: set[str] = set()
        for one in self:
            found.add(one.key)
            with suppress(ArtifactError):
                found.update(one.order["uses"])
        return found

    def create(
        self, key: str, attempt: int, order: Mapping[str, Any], rows: Mapping[str, Path]
    ) -> JobFolder:
        """Make a job's folder, which appears whole. `rows` are files to copy to
        `inputs/`, by their names there. What the stage's own work folder holds becomes
        the job's, last: a kill loses nothing of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = self.folder / f".{key}-{secrets.token_hex(4)}"
        (made / "inputs").mkdir(parents=True)
        for name, path in rows.items():
            shutil.copyfile(path, made / "inputs" / name)
        body = {"format": FORMAT, **order}
        replace(made / "job.json", json.dumps(body).encode())
        place = JobFolder(self.folder / f"{key}-a{attempt}")
        made.rename(place.path)
        self._give(place)
        return place

    def _own(self, key: str) -> Path:
        """The stage's own work folder."""
        return self._root / "work" / key

    def _give(self, job: JobFolder) -> None:
        """Make the stage's own work folder the job's, unless the job has one."""
        own = self._own(job.key)
        if own.is_dir() and not job.work.exists():
            own.rename(job.work)

    def forget(self, key: str) -> None:
        """Remove the folders of a stage that is made."""
        for path in self.folder.glob(f"{key}-a*"):
            JobFolder(path).remove()
        with suppress(OSError):  # a run that took up the job has made it, for nothing
            self._own(key).rmdir()

    def close(self, job: JobFolder) -> None:
        """Remove the folder of a job that ended without an artifact. What it saved to
        go on from becomes the stage's own work folder again."""
        own = self._own(job.key)
        if job.work.is_dir():  # or a run that was killed had closed it all but removed
            if own.exists():
                delete(own)
            own.parent.mkdir(exist_ok=True)
            job.work.rename(own)
        job.remove()

    def leftovers(self, taken: Callable[[str], bool]) -> list[Path]:
        """Folders that a kill left half made or half removed, and those whose files
        became an artifact; but for keys that are `taken`, on which a run is at work.
        That a stage has an artifact says nothing of its job, which may make it anew."""
        found = [one.path for one in self if not taken(one.key) and _is_spent(one)]
        for path in self.folder.glob(".*"):
            if not taken(path.name[1:].partition("-")[0]):
                found.append(path)
        return sorted(found)


def _is_spent(job: JobFolder) -> bool:
    """Whether the job has its result, whose files are not there any more, and no other
    beginning of the job is at work."""
    try:
        return job.is_spent and not job.is_locked()
    except ArtifactError:  # a damaged result: a run tells of it
        return False
