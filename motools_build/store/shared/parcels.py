"""Jobs whose files travel through a shared store, because the nodes that do them share
no disk with the run.

    jobs/files/<digest>-<size>     files that jobs need; alike ones are there once
    jobs/orders/<name>             what is to be done, and which files it needs; last
    jobs/out/<name>/messages       what the job has told so far
    jobs/out/<name>/log            what it has printed so far
    jobs/out/<name>/files/<file>   the files of its work folder, at the end
    jobs/out/<name>/result         how it ended; created once, last
    jobs/kept/<name>/<n>/<file>    what it saved to go on from, in its n-th state
    jobs/kept/<name>/latest        the state that is whole

A name is that of one submission, which a cluster does once. All files are
`<digest>-<size>`: stores do not take every name that a disk takes. Their paths are in
the order, the result and the latest state.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.keys import digest_file
from motools_build.store.files import append
from motools_build.store.jobs import JobFolder
from motools_build.store.shared.objects import Object, Objects
from motools_build.store.shared.tier import in_threads

JOBS = "jobs"
"""Folder of the store with all of this."""

FRESH = 7 * 86_400.0
"""Seconds for which a file that is in the store needs not be put there again. A gc of
the store removes it much later."""

Files = Mapping[str, tuple[int, str]]
"""Path below a folder -> size in bytes and digest."""


class Parcels:
    """The jobs that travel through one store. Methods raise StoreError if it refuses,
    and StoreUnreachable if it does not answer."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.address = objects.address
        self._seen: dict[str, Object] = {}
        """Name of an object that grows -> the state of it that was fetched."""
        self._there: set[str] | None = None
        """Files that were put into the store a short time ago; None as long as that was
        not asked."""

    # ---- the run's side

    def send(
        self, name: str, order: Mapping[str, Any], files: Mapping[str, Path]
    ) -> None:
        """Put a job there: what is to be done, and its files, by their paths below the
        folder in which it is done."""
        listed = listing(files)
        if self._there is None:
            fresh = self._objects.now() - FRESH
            found = self._objects.list(f"{JOBS}/files")
            self._there = {one.name for one in found if one.modified >= fresh}
        there = self._there

        def put(path: str) -> None:
            name = f"{JOBS}/files/{_file(*listed[path])}"
            if name not in there:
                self._objects.put(name, files[path])
                there.add(name)

        in_threads(put, [*files])
        body = {**order, "files": listed}
        self._objects.put(f"{JOBS}/orders/{name}", json.dumps(body).encode())

    def fetch(self, folders: Mapping[str, JobFolder]) -> None:
        """Bring what jobs have told to their folders, and their results, by one listing
        of the store and the objects that are new. `folders` are by name."""
        if not folders:
            return
        out: dict[str, dict[str, Object]] = {}
        for one in self._objects.list(f"{JOBS}/out"):
            name, _, what = one.name.removeprefix(f"{JOBS}/out/").partition("/")
            if name in folders and not what.startswith("files/"):
                out.setdefault(name, {})[what] = one
        in_threads(lambda one: self._brought(*one, folders[one[0]]), [*out.items()])

    def _brought(self, name: str, new: Mapping[str, Object], folder: JobFolder) -> None:
        try:
            if folder.result is None:
                self._bring(name, new, folder)
        except FileNotFoundError:  # the job was cancelled meanwhile
            if folder.path.is_dir():
                raise

    def _bring(self, name: str, new: Mapping[str, Object], folder: JobFolder) -> None:
        for what, place in (("messages", folder.messages), ("log", folder.log)):
            one = new.get(what)
            if one is not None and self._seen.get(one.name) != one:
                more = _grow(place, self._objects.get(one.name) or b"")
                if what == "log" and more:
                    append(Path(folder.order["log"]), more)
                self._seen[one.name] = one
        if "result" in new:
            told = json.loads(self._objects.get(new["result"].name) or b"null")
            if told is not None:
                self._finish(name, told, folder)
                self.forget(name)  # the folder has it all

    def _finish(self, name: str, told: Mapping[str, Any], folder: JobFolder) -> None:
        """Bring a job's files, then write its result down. A damaged file makes it one
        that failed. The work folder then stays as it was sent, and so it does after a
        job that did not begin: earlier attempts may have saved something there."""
        message = told["message"]
        try:
            if told["files"] is not None:
                self._bring_work(f"{JOBS}/out/{name}/files", told["files"], folder.work)
        except ArtifactError as error:
            failed = {"type": type(error).__name__, "message": str(error)}
            message = {"key": folder.key, "failed": failed}
        folder.work.mkdir(exist_ok=True)
        folder.finish(json.dumps(message).encode())

    def _bring_work(self, prefix: str, files: Files, work: Path) -> None:
        """Replace a work folder by files of the store, all of them or none. Raises
        ArtifactError if one is missing or damaged."""
        brought = work.with_name(f".{work.name}-brought")
        shutil.rmtree(brought, ignore_errors=True)
        brought.mkdir(parents=True)
        try:
            self._place(prefix, files, brought)
        except ArtifactError:
            shutil.rmtree(brought, ignore_errors=True)
            raise
        shutil.rmtree(work, ignore_errors=True)
        brought.rename(work)

    def saved(self, name: str, work: Path) -> None:
        """Bring what a job that ended without a result had saved to go on from to its
        work folder. What is damaged is not brought."""
        latest = self._objects.get(f"{JOBS}/kept/{name}/latest")
        if latest is None:
            return
        state = json.loads(latest)
        with suppress(ArtifactError):
            self._bring_work(f"{JOBS}/kept/{name}/{state['n']}", state["files"], work)

    def forget(self, name: str) -> None:
        """Remove all of a job but the files that others may need as well."""
        names = [f"{JOBS}/orders/{name}"]
        for part in ("out", "kept"):
            names += [o.name for o in self._objects.list(f"{JOBS}/{part}/{name}")]
        in_threads(self._objects.delete, names)

    # ---- the node's side

    def order(self, name: str) -> dict[str, Any] | None:
        """What is to be done; None if there is no such job, or none any more."""
        data = self._objects.get(f"{JOBS}/orders/{name}")
        if data is None or self._objects.get(f"{JOBS}/out/{name}/result") is not None:
            return None
        found: dict[str, Any] = json.loads(data)
        return found

    def place(self, order: Mapping[str, Any], root: Path) -> None:
        """Write a job's files below a folder. Raises ArtifactError if one is missing
        or damaged."""
        self._place(f"{JOBS}/files", order["files"], root)

    def tell(self, name: str, what: str, data: bytes) -> None:
        """Put the `messages` or the `log` so far."""
        self._objects.put(f"{JOBS}/out/{name}/{what}", data)

    def keep(self, name: str, n: int, files: Mapping[str, Path]) -> None:
        """Put the n-th state of what the job saved, and remove the one before."""
        at = f"{JOBS}/kept/{name}"
        latest = {"n": n, "files": self._put(f"{at}/{n}", files)}
        self._objects.put(f"{at}/latest", json.dumps(latest).encode())
        if n > 1:
            for one in self._objects.list(f"{at}/{n - 1}"):
                self._objects.delete(one.name)

    def finish(
        self, name: str, message: Mapping[str, Any], files: Mapping[str, Path] | None
    ) -> None:
        """Put the files of the job's work folder, and its last message. There are None
        of a job that did not begin."""
        at = f"{JOBS}/out/{name}"
        put = None if files is None else self._put(f"{at}/files", files)
        told = {"message": message, "files": put}
        self._objects.create(f"{at}/result", json.dumps(told).encode())

    def _put(self, prefix: str, files: Mapping[str, Path]) -> Files:
        """Put files there, alike ones once; returns them as `listing` does."""
        listed = listing(files)
        places = {_file(*listed[path]): place for path, place in files.items()}
        for name, place in places.items():
            self._objects.put(f"{prefix}/{name}", place)
        return listed

    def _place(self, prefix: str, files: Files, root: Path) -> None:
        """Write objects below a folder, each with its digest checked."""

        def one(path: str) -> None:
            size, digest = files[path]
            if not _is_inside(path):
                raise ArtifactError(f"a job has a file at {path!r}, outside its folder")
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            name = f"{prefix}/{_file(size, digest)}"
            there = self._objects.fetch(name, place, size)
            if not there or digest_file(place) != digest:
                self._objects.delete(name)  # so that the next job puts it there anew
                what = "is damaged in" if there else "is missing in"
                raise ArtifactError(
                    f"{path} of a job {what} the shared store "
                    f"{self._objects.address}; nothing was made of it: run again"
                )

        in_threads(one, [*files])


def listing(files: Mapping[str, Path]) -> dict[str, tuple[int, str]]:
    """Path -> size and digest of its file."""
    return {
        path: (place.stat().st_size, str(digest_file(place)))
        for path, place in files.items()
    }


def _file(size: int, digest: str) -> str:
    return f"{digest}-{size}"


def _grow(path: Path, data: bytes) -> bytes:
    """Append to a file what it lacks of the data, which it is the beginning of; returns
    that."""
    has = path.stat().st_size if path.exists() else 0
    with open(path, "ab") as file:
        file.write(data[has:])
    return data[has:]


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and "\0" not in path
