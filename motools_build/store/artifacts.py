"""The artifact store: `artifacts/<kind>/<backend>-<key>/`, the only state there is."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.keys import Digest, DigestMemo, Key, digest_file, digest_stream
from motools_build.stages import Stage
from motools_build.store.ledger import Ledger
from motools_build.store.live import Live
from motools_build.store.locks import Locks
from motools_build.store.records import Record
from motools_build.store.runs import RunLog
from motools_build.store.state import States, sync, write
from motools_build.task_code.reads import READ, difference, digest_now
from motools_build.text.scrub import scrub_values

RECORD = "record.json"

OBSERVED = "observed"
"""Of a record's details: name -> digest of what it was made from and no key holds."""

OUTPUTS = {"samples": "answers", "dataset": "rows"}
"""What a stage of a kind is made for, where that is no model."""


class ArtifactStore:
    """Artifacts by key, complete or absent; beside them the state of
    what is not there yet, the ledger and the run log.

    Records are read once a process; `put` and `remove` are seen at once, another
    process's by `forget`.
    """

    def __init__(
        self, root: Path = Path("artifacts"), memo: DigestMemo | None = None
    ) -> None:
        self.root = root
        self._digest = memo.present if memo else digest_file
        self._now: dict[str, Digest] = {}  # of observed inputs, one look each
        self.runs = RunLog(root / "runs.jsonl")
        self.states = States(root)
        self.ledger = Ledger(root / "ledger.jsonl")
        self.locks = Locks(root / "lock")
        """Of whoever makes a stage, by its key."""
        self.live = Live(root, self.locks)
        self._clock = itertools.count()
        self._syncing = threading.Lock()
        self._synced: dict[Path, int] = {}  # when its last sync began, by the clock
        self._records: dict[Key, Record | str] = {}  # or what is wrong with it

    # ---- reading

    def get(self, stage: Stage) -> Record | None:
        """The stage's record, or None if it is missing or damaged."""
        found = self._look(stage)
        return found if isinstance(found, Record) else None

    def why_stale(self, stage: Stage) -> str | None:
        """Why the stage must be made, in a few words; None if it is up to date.

        Besides its own record, the outputs it was made from must be the present
        ones: a model made again under the same key may have other weights. Where
        the model is gone, its results stay valid.
        """
        found = self._look(stage)
        if isinstance(found, str):
            return found
        for upstream in stage.upstream:
            present = self.get(upstream)
            if present is None:
                continue
            if found.inputs.get(upstream.key) != present.output:
                what = OUTPUTS.get(upstream.kind, "weights")
                return f"{upstream.name} has other {what} now"
            of_its_own = upstream.upstream or OBSERVED in present.details
            reason = self.why_stale(upstream) if of_its_own else None
            if reason:
                return f"{upstream.name} is stale: {reason}"
        observed = found.details.get(OBSERVED)
        return self._what_changed(observed) if observed else None

    def _what_changed(self, observed: Mapping[str, str]) -> str | None:
        """The first input that no key holds and that is not what was recorded."""
        for name, recorded in observed.items():
            now = self._now.get(name)
            if now is None:  # a local: another thread may clear what is remembered
                try:
                    now = self._now[name] = digest_now(name, self._digest)
                except OSError:
                    now = None
            what = difference(name, recorded, now)
            if what:
                return what
        return None

    def forget(self, stage: Stage) -> None:
        """Look at the disk again: another process may have made it."""
        self._records.pop(stage.key, None)
        self._now.clear()

    def folder(self, stage: Stage) -> Path:
        """Where the stage's record and payload lie."""
        folder = self.root / stage.folder
        if ".." in folder.parts or len(Path(stage.folder).parts) != 2:
            raise ArtifactError(
                f"{stage.name}: {folder} is outside of {self.root}, where nothing is "
                "written; give its account another identity (pyproject.toml)"
            )
        return folder

    def holds(self, stage: Stage) -> bool:
        """Whether there is anything of the stage: an artifact, whole or not, or a
        failure."""
        return self.folder(stage).exists() or self.states.exists(stage.key)

    def check_payload(self, stage: Stage) -> None:
        """Raises ArtifactError if a byte of the payload is not what was recorded."""
        record = self.get(stage)
        if record is None:
            raise ArtifactError(f"{stage.name}: {self._look(stage)}")
        files = {self.folder(stage) / n: d for n, (_, d) in record.payload.items()}
        if "file" in record.details:
            files[Path(record.details["file"])] = Digest(record.output)
        for path, digest in files.items():
            if digest_file(path) != digest:
                self.remove(stage)
                raise ArtifactError(
                    f"{stage.name}: {path} is damaged (its digest is not the recorded "
                    "one); the artifact was removed: run again to make it anew"
                )

    def by_key(self, kind: str, backend: str, key: str) -> Record | None:
        """The record of a key that no present stage has, if it is whole."""
        try:
            path = self.root / kind / f"{backend}-{key}" / RECORD
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        record = Record.decode(data, str(path))
        return record if record and record.is_of_its_key() else None

    def records(self, kind: str) -> Iterator[Record]:
        """Every whole record of a kind, in no order."""
        for path in sorted((self.root / kind).glob(f"*/{RECORD}")):
            record = Record.decode(path.read_bytes(), str(path))
            if record is not None and record.is_of_its_key():
                yield record

    def _look(self, stage: Stage) -> Record | str:
        found = self._records.get(stage.key)
        if found is None:
            found = self._records[stage.key] = self._read(stage)
        return found

    def _read(self, stage: Stage) -> Record | str:
        folder = f"{self.root}/{stage.folder}"
        try:
            path = f"{folder}/{RECORD}"
            record = Record.decode(_read(path), path)
        except (FileNotFoundError, NotADirectoryError):
            return "not made yet"
        except OSError as error:
            return f"its record cannot be read ({error.strerror})"
        if record is None or record.key != stage.key or record.kind != stage.kind:
            return "its record is damaged"
        # not equal, but of one key: a number that JSON writes in two ways
        if record.preimage != stage.preimage and not record.is_of_its_key():
            return "its record is damaged: its preimage is not its key's"
        for name, (size, _) in record.payload.items():
            problem = _size_problem(f"{folder}/{name}", name, size)
            if problem:
                return problem
        outside = record.details.get("file")
        if outside:
            return _size_problem(outside, outside, record.details["bytes"]) or record
        return record

    # ---- writing

    def work_folder(self, stage: Stage) -> Path:
        """An empty folder for a stage's payload, under the same file system; of an
        eval, the log of the attempt before stays: what was answered is paid for."""
        folder = self.root / "work" / stage.key
        if folder.is_symlink():  # what it points to is another's
            folder.unlink()
        try:
            folder.mkdir()
        except FileNotFoundError:
            folder.mkdir(parents=True)
        except FileExistsError:  # of a run that was killed, or an eval that failed
            for path in folder.iterdir():
                if not stage.asks or (path.suffix != ".eval" and path.name != READ):
                    delete(path)
        return folder

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
        """Turn a work folder into the stage's artifact: whole, or not at all."""
        payload = {path.name: _kept(path) for path in sorted(work.iterdir())}
        record = Record(
            kind=stage.kind,
            backend=stage.backend,
            key=stage.key,
            preimage=stage.preimage,
            name=stage.name,
            output=output,
            inputs=inputs,
            payload=payload,
            details=scrub_values(details),
            made=made,
        )
        write(work / RECORD, record.encode())
        sync(work)
        target = self.folder(stage)
        before = self._set_aside(target)
        try:
            work.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            work.replace(target)
        if before:
            shutil.rmtree(before)
        self._sync(target.parent)
        self.states.clear(stage.key)
        self._records[stage.key] = record
        self._now.clear()
        return record

    def _sync(self, folder: Path) -> None:
        """`sync`, once for all threads that come while another one is at it."""
        came = next(self._clock)
        with self._syncing:
            if self._synced.get(folder, -1) < came:
                began = next(self._clock)
                sync(folder)
                self._synced[folder] = began

    def remove(self, stage: Stage) -> None:
        """Remove the artifact, its failure and what a failure left; never an intent or
        an unfinished job."""
        self._records.pop(stage.key, None)
        self.states.clean(stage.key)
        work = self.root / "work" / stage.key
        if work.exists() or work.is_symlink():
            delete(work)
        (self.root / "logs" / f"{stage.key}.log").unlink(missing_ok=True)
        gone = self._set_aside(self.folder(stage))
        if gone:
            shutil.rmtree(gone)

    def _set_aside(self, folder: Path) -> Path | None:
        """Move a folder out of sight, whole, so that no one ever sees half of it."""
        if folder.is_symlink():  # what it points to is another's
            folder.unlink()
        if not folder.exists():
            return None
        gone = self.root / "work" / f"gone-{os.getpid()}-{folder.name}"
        gone.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(gone, ignore_errors=True)
        try:
            folder.replace(gone)
        except FileNotFoundError:
            return None
        return gone


def delete(path: Path) -> None:
    """Remove a file, a folder with all that is in it, or a link, but nothing that a
    link points to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _kept(path: Path) -> tuple[int, Digest]:
    """Bytes and digest of a file, which is on the disk on return."""
    with open(path, "rb", buffering=0) as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size, digest_stream(file)


def _read(path: str) -> bytes:
    """A whole small file; a third of what `open` costs, ten thousand times."""
    handle = os.open(path, os.O_RDONLY)
    try:
        data = os.read(handle, 1 << 13)  # a larger buffer costs more than the call
        if len(data) == 1 << 13:
            data += Path(path).read_bytes()[1 << 13 :]
        return data
    finally:
        os.close(handle)


def _size_problem(path: str, name: str, size: int) -> str | None:
    try:
        found = os.stat(path).st_size
    except FileNotFoundError:
        return f"{name} is missing"
    return None if found == size else f"{name} has {found} bytes, not {size}"
