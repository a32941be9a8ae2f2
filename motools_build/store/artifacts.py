"""The artifact store: `artifacts/<kind>/<backend>-<key>/`, the only state there is.

An artifact is a folder: a record (`record.json`) and a payload, the files that the
record lists with sizes and digests. It is complete or it does not exist: `put` takes a
filled work folder, writes the record into it last, and renames it to its place.

Other modules get payloads by `materialise`, and ask the store rather than building
paths.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.keys import DigestMemo, Key, digest_file
from motools_build.stages import Stage
from motools_build.store import reading
from motools_build.store.accepted import FILE, Acceptance, Accepted
from motools_build.store.files import SharedSync, delete, sync, write
from motools_build.store.folders import Folders
from motools_build.store.job_folders import JobFolders
from motools_build.store.ledger import Ledger
from motools_build.store.live import Live
from motools_build.store.locks import Locks
from motools_build.store.observed import Observed
from motools_build.store.payload import RECORD, kept, local_file
from motools_build.store.reading import whole
from motools_build.store.records import Record
from motools_build.store.runs import RunLog
from motools_build.store.shared.lazy import is_marked, refuse
from motools_build.store.snapshots import FOLDER, Snapshots
from motools_build.store.state import States
from motools_build.text.scrub import scrub_values

OBSERVED = "observed"
"""Field of a record's details: the files that an eval read and that are in no key, as
name -> digest."""

OUTPUTS = {"samples": "answers", "dataset": "rows"}
"""What messages call a stage's output, by kind; a kind not listed has weights."""


class ArtifactStore:
    """The artifacts below a folder, found by key. Also holds the state of stages
    without an artifact (`states`), the ledger, the run log, and the locks of runs.

    A process reads each record once. It sees its own changes at once, and those of
    another process after `forget`.
    """

    def __init__(
        self, root: Path = Path("artifacts"), memo: DigestMemo | None = None
    ) -> None:
        self.root = root
        self.locks = Locks(root / "lock")
        """One per stage key, held by the process that makes the stage."""
        self.runs = RunLog(root / "runs.jsonl", self.locks)
        self.snapshots = Snapshots(root / FOLDER)
        self.states = States(root)
        self.ledger = Ledger(root / "ledger.jsonl")
        self.jobs = JobFolders(root)
        self.live = Live(root, self.locks)
        self.accepted = Accepted(root / FILE, self.locks)
        self._folders = Folders(root)
        self._digest = memo.present if memo else digest_file
        self._observed = Observed(self._digest)
        self.fetch: Callable[[Record, Path], None] = refuse  # from a shared store
        self._hashing = threading.Lock()
        self._sync = SharedSync()
        self._records: dict[Key, Record | str] = {}
        """Key -> its record, or why there is no valid one, in a few words."""

    # ---- reading

    def get(self, stage: Stage) -> Record | None:
        """The stage's record, or None if the artifact is missing or damaged."""
        return found if isinstance(found := self._look(stage), Record) else None

    def why_stale(self, stage: Stage) -> str | None:
        """Why the stage must be made, in a few words; None if it is up to date.

        A stage is up to date if its artifact is complete and was made from the outputs
        that its upstream stages have now: a model made again under the same key may
        have other weights. Results stay valid if their model's artifact is gone.
        """
        found = self._look(stage)
        if isinstance(found, str) or stage.params is None:  # of the past, as it was
            return found if isinstance(found, str) else None
        for upstream in stage.upstream:
            present = self.get(upstream)
            if present is None:
                continue
            # a record names an accepted stage by its own key, or by the artifact's
            used = found.inputs.get(upstream.key, found.inputs.get(present.key))
            if used != present.output:
                what = OUTPUTS.get(upstream.kind, "weights")
                return f"{upstream.name} has other {what} now"
            of_its_own = upstream.upstream or OBSERVED in present.details
            reason = self.why_stale(upstream) if of_its_own else None
            if reason:
                return f"{upstream.name} is stale: {reason}"
        observed = found.details.get(OBSERVED)
        return self._observed.what_changed(observed) if observed else None

    def forget(self, stage: Stage) -> None:
        """Read the record again when next asked: another process may have made it."""
        self._records.pop(stage.key, None)
        self._observed.forget()
        self.accepted.forget()

    def acceptance(self, stage: Stage) -> Acceptance | None:
        """The acceptance by which the stage has the artifact of another key; None if it
        has its own, or none."""
        found = self._look(stage)
        other = isinstance(found, Record) and found.key != stage.key
        return self.accepted.of(stage.key) if other else None

    def keys_of(self, stage: Stage) -> tuple[str, ...]:
        """The keys under which its artifact may be: its own, and the accepted one."""
        accepted = self.accepted.of(stage.key)
        return (stage.key, accepted.of) if accepted else (stage.key,)

    def has_own(self, stage: Stage) -> bool:
        """Whether the disk has a whole artifact under the stage's own key."""
        return isinstance(reading.of_stage(self.root, stage), Record)

    def materialise(self, stage: Stage) -> Path:
        """The path of the stage's payload on this machine: the artifact's folder, or
        the file of a base model in the user's cache.

        Raises ArtifactError if the artifact or the file is missing or damaged.
        """
        record = self.get(stage)
        if record is None:
            raise ArtifactError(
                f"{stage.name}: {self._look(stage)}; run again to make it"
            )
        return self.payload_of(record)

    def payload_of(self, record: Record) -> Path:
        """The payload's path by its record, which need not be a present stage's. Raises
        ArtifactError if a base model's file is gone from here."""
        if not record.local:
            place = self.folder_of(record)
            if is_marked(f"{place}"):
                self.fetch(record, place)
            return place
        path = local_file(record)
        if path is None:
            raise ArtifactError(
                f"{record.name}: its file was removed from this machine; run again to "
                "fetch it"
            )
        return path

    def folder_of(self, record: Record) -> Path:
        """The artifact's folder; nothing is fetched that lies in the shared store."""
        # one text: joining paths takes three times as long
        return Path(f"{self.root}/{record.kind}/{record.backend}-{record.key}")

    def planned_file(self, stage: Stage, name: str) -> str:
        """The path of a file of the stage's payload, which may be made yet or not."""
        return f"{self._folders.of(stage)}/{name}"

    def record_path(self, stage: Stage) -> str:
        """The path of the stage's record, whether or not the file exists."""
        return f"{self.root}/{stage.folder}/{RECORD}"

    def has_folder(self, stage: Stage) -> bool:
        """Whether the stage has an artifact, complete or damaged."""
        return self._folders.of(stage).exists()

    def holds(self, stage: Stage) -> bool:
        """Whether the stage has an artifact, complete or damaged, a state file, or a
        work folder that a kill left."""
        there = self.unfinished(stage).exists() or self.has_folder(stage)
        return there or self.states.exists(stage.key)

    def check_payload(self, stage: Stage) -> None:
        """Hash every file of the payload. If a digest differs from the recorded one,
        moves the artifact to artifacts/broken/ and raises ArtifactError.

        A base model's file is hashed once, and again if its size or times change.
        """
        record = self.get(stage)
        if record is None:
            raise ArtifactError(f"{stage.name}: {self._look(stage)}")
        damaged = self._damaged(record)
        if damaged:
            aside = self.set_aside(self.folder_of(record))
            self.forget(stage)
            raise ArtifactError(
                f"{stage.name}: {damaged} is damaged (its digest is not the recorded "
                f"one); the artifact was moved to {aside}: run again to make it anew"
            )

    def _damaged(self, record: Record) -> Path | None:
        """The first file of the payload whose digest is not the recorded one, or
        None."""
        place = self.payload_of(record)
        if record.local:
            with self._hashing:  # one thread hashes it; the memo serves the others
                return None if self._digest(str(place)) == record.output else place
        for name, (_, digest) in record.payload.items():
            if digest_file(place / name) != digest:
                return place / name
        return None

    def by_key(self, kind: str, backend: str, key: str) -> Record | None:
        """The record of a key, for when no present stage has that key; None if it is
        missing, unreadable or damaged. Raises NewerFormat."""
        return whole(self.root / kind / f"{backend}-{key}" / RECORD)

    def records(self, kind: str, prefix: str = "") -> Iterator[Record]:
        """Every valid record of a kind whose key begins with `prefix`, sorted by
        backend, then key."""
        paths = sorted((self.root / kind).glob(f"*-{prefix}*/{RECORD}"))
        yield from filter(None, map(whole, paths))

    def _look(self, stage: Stage) -> Record | str:
        found = self._records.get(stage.key)
        if found is None:
            found = reading.of_stage(self.root, stage)
            accepted = self.accepted.of(stage.key) if isinstance(found, str) else None
            if accepted:
                found = reading.of_accepted(self.root, accepted)
            self._records[stage.key] = found
        return found

    # ---- writing

    def work_folder(self, stage: Stage) -> Path:
        """A folder for the stage's payload, on the artifacts' file system. It is empty,
        except for logs of an eval's last attempt, whose answers are paid for."""
        return self._folders.empty_work(stage)

    def unfinished(self, stage: Stage) -> Path:
        """The work folder of the stage's last attempt; it may not exist."""
        return self._folders.work(stage)

    def put(
        self,
        stage: Stage,
        work: Path,
        *,
        output: str,
        details: Mapping[str, Any],
        inputs: Mapping[str, str],
        made: Mapping[str, Any],
    ) -> Record:
        """Turn a work folder into the stage's artifact, atomically; returns its record.
        Raises ArtifactError for a link, a pipe or a `record.json` in the folder."""
        record = Record(
            kind=stage.kind,
            backend=stage.backend,
            key=stage.key,
            preimage=stage.preimage,
            name=stage.name,
            output=output,
            inputs=inputs,
            payload=kept(work),
            details=scrub_values(details),
            made=made,
        )
        write(work / RECORD, record.encode())
        sync(work)
        target = self._folders.of(stage)
        if target.exists() and not self.has_own(stage):
            self._folders.set_aside(target)
        return self.install(record, work)

    def install(self, record: Record, work: Path) -> Record:
        """Move a folder with a record and its files to its place, atomically."""
        self._folders.put(work, self.folder_of(record), self._sync)
        self.states.clear(record.key)
        self._records[record.key] = record
        self._observed.forget()
        return record

    def set_aside(self, folder: Path) -> Path | None:
        """Move a damaged artifact to artifacts/broken/; see `Folders`."""
        return self._folders.set_aside(folder)

    def remove(self, stage: Stage) -> None:
        """Remove the stage's artifact, recorded failure, work folder and log. An intent
        to pay or an unfinished job stays recorded."""
        self._records.pop(stage.key, None)
        self.states.clean(stage.key)
        work = self.unfinished(stage)
        if work.exists() or work.is_symlink():
            delete(work)
        (self.root / "logs" / f"{stage.key}.log").unlink(missing_ok=True)
        gone = self._folders.hide(self._folders.of(stage))
        if gone:
            shutil.rmtree(gone)
