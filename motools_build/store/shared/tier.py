"""The second tier of the artifact store: records and payloads of a whole team.

    records/<kind>/<backend>-<key>/<attempt>   created once: the first record wins
    payload/<digest of the record>/<digest>    the record's files, put before it

Payloads lie below the digest of their record, so that those of two makers of one key
never mix. The local folder stays what stages read: a pull installs an artifact there,
with the files that are read at once, and the others when they are used. Each file's
digest is checked on its way in.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from motools_build.errors import ArtifactError, StoreError
from motools_build.keys import digest_bytes, digest_file
from motools_build.stages import Stage
from motools_build.store.artifacts import OBSERVED, ArtifactStore
from motools_build.store.files import write
from motools_build.store.payload import RECORD
from motools_build.store.records import Record
from motools_build.store.shared.lazy import MARK, at_once
from motools_build.store.shared.objects import Objects

S = TypeVar("S")
T = TypeVar("T")

KINDS = ("dataset", "model", "samples", "eval")
"""What a team shares. Uploads are free, belong to an account, and expire; base models
come from where everybody fetches them."""

RECORDS, PAYLOAD = "records", "payload"

AT_ONCE = 16
"""Number of artifacts that are moved at a time."""

Outcome = Literal["pushed", "there", "taken", "other"]
"""`there`: the store has this very artifact. `taken`: it has another maker's, which
came first and is the local one now. `other`: the same, but the local one was kept,
since it was made from other inputs, or because a person asked for it."""


@dataclass(frozen=True)
class Named:
    """A record in the store, by its name."""

    place: str
    """`<kind>/<backend>-<key>`."""
    attempt: int

    @property
    def name(self) -> str:
        return f"{RECORDS}/{self.place}/{self.attempt:04d}"

    @classmethod
    def of(cls, record: Record) -> Named:
        return cls(
            f"{record.kind}/{record.backend}-{record.key}",
            int(record.details.get("attempt") or 1),
        )


class Tier:
    """A shared store behind a local one. Methods raise StoreError if it refuses, and
    StoreUnreachable if it does not answer."""

    def __init__(self, objects: Objects, store: ArtifactStore) -> None:
        self.objects = objects
        self.store = store
        self._fetching: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        """Key -> lock of who fetches its files: many evals may use one model."""

    @cached_property
    def listed(self) -> dict[str, Named]:
        """Place -> the record of its last attempt, by one listing of the store."""
        found: dict[str, Named] = {}
        for one in self.objects.list(RECORDS):
            place, _, attempt = one.name.removeprefix(f"{RECORDS}/").rpartition("/")
            if place.count("/") == 1 and attempt.isdigit():
                named = Named(place, int(attempt))
                if place not in found or found[place].attempt < named.attempt:
                    found[place] = named
        return found

    # ---- to the store

    def push(
        self, record: Record, *, takes: bool = True, again: bool = False
    ) -> Outcome:
        """Push a local artifact, unless the store has one of its key and attempt. Then,
        if `takes`, that one becomes the local one. With `again`, the files are put once
        more although the store has them. The caller holds the key's lock.

        Raises ArtifactError if the store's record is damaged, or files lack here.
        """
        folder = self._folder(record)
        data, named = (folder / RECORD).read_bytes(), Named.of(record)
        there = self.objects.get(named.name)
        if there is None or (again and there == data):
            whole = self.store.payload_of(record)  # of a pulled one, fetches the rest
            for name, (size, digest) in record.payload.items():
                self.objects.put(_payload(data, digest, size), whole / name)
            if there == data or self.objects.create(named.name, data):
                return "pushed"
            self._drop(data, record)
            there = self.objects.get(named.name)
        if there is None:
            raise StoreError(f"{self._where(named)} comes and goes; push again")
        return self._there(there, data, record, named, takes)

    def _there(
        self, there: bytes, data: bytes, record: Record, named: Named, takes: bool
    ) -> Outcome:
        """What becomes of a local artifact if the store has one of its key already."""
        if there == data:
            return "there"
        winner = self._decoded(there, named)
        alike = winner.inputs == record.inputs and (
            winner.details.get(OBSERVED) == record.details.get(OBSERVED)
        )
        if not (takes and alike):
            return "other"
        self._install(winner, there)
        return "taken"

    def _drop(self, data: bytes, record: Record) -> None:
        """Remove the files of a record that came second; what stays, gc removes."""
        for size, digest in record.payload.values():
            try:
                self.objects.delete(_payload(data, digest, size))
            except StoreError:
                return

    # ---- from the store

    def pull(self, stages: Iterable[Stage]) -> tuple[list[Stage], list[str]]:
        """Install artifacts that the store has and this folder lacks; returns their
        stages, and why others that it has could not be installed. One that was made
        from other outputs than those here is left."""
        wanted = [
            (stage, self.listed[stage.folder])
            for stage in {one.key: one for one in stages}.values()
            if stage.kind in KINDS
            and stage.folder in self.listed
            and self.store.get(stage) is None
            and self.store.accepted.of(stage.key) is None
        ]
        problems: list[str] = []

        def read(one: tuple[Stage, Named]) -> tuple[Stage, Record, bytes] | None:
            data = self.objects.get(one[1].name)
            try:
                return (one[0], self._decoded(data, one[1]), data) if data else None
            except ArtifactError as error:
                problems.append(str(error))
                return None

        def install(one: tuple[Stage, Record, bytes]) -> bool:
            try:
                return self._pulled(*one)
            except ArtifactError as error:
                problems.append(str(error))
                return False

        found = [*filter(None, in_threads(read, wanted))]
        outputs = {str(record.key): record.output for _, record, _ in found}
        fitting = [one for one in found if self._fits(one[0], one[1], outputs)]
        done = in_threads(install, fitting)
        pulled = [one[0] for one, is_in in zip(fitting, done, strict=True) if is_in]
        return pulled, sorted(problems)

    def _fits(self, stage: Stage, record: Record, pulled: dict[str, str]) -> bool:
        """Whether an artifact was made from the outputs that its inputs have here, or
        will have."""
        for used in stage.upstream:
            own = self.store.get(used)
            output = own.output if own else pulled.get(used.key)
            if output is not None and record.inputs.get(used.key) != output:
                return False
        return True

    def _pulled(self, stage: Stage, record: Record, data: bytes) -> bool:
        if not self.store.locks.take(stage.key):  # a run is making it here
            return False
        try:
            self.store.forget(stage)
            if self.store.get(stage) is None:
                self._install(record, data)
                self.store.forget(stage)
            return True
        finally:
            self.store.locks.drop(stage.key)

    def _install(self, record: Record, data: bytes) -> None:
        """Make the store's artifact the local one, atomically."""
        work = self._work(record)
        try:
            for name in (names := at_once(record)):
                self._fetch_file(record, data, name, work / name)
            if len(names) < len(record.payload):
                (work / MARK).touch()
            write(work / RECORD, data)
            self.store.install(record, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def fetch(self, record: Record, folder: Path) -> None:
        """Fetch the files that an artifact's folder lacks. Raises ArtifactError if they
        are not in the store, or damaged there."""
        with self._fetching[record.key]:
            self._fetch_rest(record, folder)

    def _fetch_rest(self, record: Record, folder: Path) -> None:
        data = (folder / RECORD).read_bytes()
        work = self._work(record)
        try:
            for name, (size, _) in record.payload.items():
                place = folder / name
                if place.exists() and place.stat().st_size == size:
                    continue
                self._fetch_file(record, data, name, work / name)
                place.parent.mkdir(parents=True, exist_ok=True)
                (work / name).replace(place)
            (folder / MARK).unlink(missing_ok=True)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _fetch_file(self, record: Record, data: bytes, name: str, path: Path) -> None:
        size, digest = record.payload[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        there = self.objects.fetch(_payload(data, digest, size), path, size)
        if there and digest_file(path) == digest:
            return
        what = "is damaged in" if there else "is missing in"
        raise ArtifactError(
            f"{record.name}: {name} {what} the shared store {self.objects.address}; "
            "nothing was kept of it. Whoever made it puts it there anew: "
            f"doit push --again {record.key[:12]}"
        )

    def _decoded(self, data: bytes, named: Named) -> Record:
        """A record of the store. Raises ArtifactError if it is damaged, or not of its
        name and key: many write to a store."""
        record = Record.decode(data, self._where(named))
        if (
            record is None
            or Named.of(record) != named
            or not record.is_of_its_key()
            or not all(map(_is_inside, record.payload))
        ):
            raise ArtifactError(
                f"{self._where(named)} is damaged: its bytes are not what a run wrote; "
                "remove it there, and push again"
            )
        return record

    def _work(self, record: Record) -> Path:
        work = self.store.root / "work" / f"pull-{record.key}-{secrets.token_hex(4)}"
        work.mkdir(parents=True)
        return work

    def _folder(self, record: Record) -> Path:
        return self.store.root / record.kind / f"{record.backend}-{record.key}"

    def _where(self, named: Named) -> str:
        return f"{self.objects.address}/{named.name}"


def in_threads(call: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """The results of calls in several threads, in order. Raises the first error."""
    if not items:
        return []
    with ThreadPoolExecutor(AT_ONCE, "store") as threads:
        return list(threads.map(call, items))


def _payload(record: bytes, digest: str, size: int) -> str:
    return f"{PAYLOAD}/{digest_bytes(record)}/{digest}-{size}"


def _is_inside(name: str) -> bool:
    """Whether a payload's name is one below the artifact's folder."""
    path = PurePosixPath(name)
    return (
        not path.is_absolute()
        and ".." not in path.parts
        and path.as_posix() == name
        and name not in ("", ".", RECORD, MARK)
        and "\0" not in name
    )
