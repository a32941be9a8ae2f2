"""What happened on the way to an artifact: failures, intents, and the ledger.

`artifacts/state/<key>.json` is gone once the artifact is there; `artifacts/
ledger.jsonl` keeps every provider ID ever bound, and survives `clean` and `gc`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.records import Entry, Failure, Paid
from motools_build.runs import append, now

UNFINISHED = frozenset({"intent", "bound"})
"""Phases in which a provider may hold, or will hold, what was paid for."""


class States:
    """The state files, by key. Each is written whole, and is on the disk when the
    call returns."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "state"

    def failure(self, key: str) -> Failure | None:
        """The last failure, if the stage has not succeeded since."""
        path = self._path(key)
        try:
            found = self._read(key).get("failure")
            failure = Failure(**found) if found else None
        except (OSError, ValueError, TypeError) as error:
            return Failure("", "", "damaged", f"{path} is damaged: {error}")
        if failure and not (isinstance(failure.message, str) and failure.message):
            return Failure("", "", "damaged", f"{path} is damaged")
        return failure

    def record_failure(
        self, key: str, name: str, error: Exception, log: str | None
    ) -> None:
        """Remember why the stage failed, until it succeeds."""
        before = self.failure(key)
        failure = Failure(
            name=name,
            time=now(),
            error=type(error).__name__,
            message=str(error),
            attempts=before.attempts + 1 if before else 1,
            log=log,
        )
        try:
            paid = self.paid(key)
        except ArtifactError:  # damaged: only the failure can be told
            paid = None
        self._write(key, failure, paid)

    def paid(self, key: str) -> Paid | None:
        """How far its paid effect is. Raises ArtifactError if the file is damaged."""
        try:
            found = self._read(key).get("paid")
            return Paid(**found) if found else None
        except (ValueError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{self._path(key)} is damaged ({error}), and may tell of a job that "
                "was paid for: delete it; the next run looks for the job in "
                "artifacts/ledger.jsonl and at its provider"
            ) from error

    def save_paid(self, key: str, paid: Paid) -> None:
        """Write down how far a paid effect is; a failure is over with that."""
        self._write(key, None, paid)

    def known(self) -> list[str]:
        """Keys of all that has state."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def exists(self, key: str) -> bool:
        """Whether there is anything to tell of the key."""
        return self._path(key).exists()

    def clear(self, key: str) -> None:
        """Forget all of the key: it has its artifact."""
        self._path(key).unlink(missing_ok=True)

    def clean(self, key: str) -> None:
        """Forget a failure, never an intent or an unfinished job."""
        try:
            paid = self.paid(key)
        except ArtifactError:
            paid = None  # what it bound is in the ledger
        if paid and paid.phase in UNFINISHED:
            self._write(key, None, paid)
        else:
            self.clear(key)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _read(self, key: str) -> dict[str, Any]:
        path = self._path(key)
        try:
            found = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        if not isinstance(found, dict):
            raise ValueError(f"{path} is damaged: it is not an object")
        return found

    def _write(self, key: str, failure: Failure | None, paid: Paid | None) -> None:
        path = self._path(key)
        body = {
            "failure": asdict(failure) if failure else None,
            "paid": asdict(paid) if paid else None,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        write(temporary, json.dumps(body, ensure_ascii=False, indent=1).encode())
        temporary.replace(path)
        sync(path.parent)


class Ledger:
    """A file of JSON lines, one for each thing that happened at a provider."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._offset = 0
        self._by_key: dict[str, list[Entry]] = {}

    def note(self, entry: Entry) -> None:
        """Append a line; it is on the disk when the call returns."""
        data = json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"
        with self._lock:
            append(self._file, data, sync=True)

    def of(self, key: str) -> list[Entry]:
        """What happened to a key, oldest first; other processes' lines included."""
        with self._lock:
            self._catch_up()
            return list(self._by_key.get(key, ()))

    def __iter__(self) -> Iterator[str]:
        """Every key that anything happened to, in order of the first time."""
        with self._lock:
            self._catch_up()
            return iter(list(self._by_key))

    def _catch_up(self) -> None:
        """Read what was appended since the last look; a torn line is passed over."""
        try:
            with open(self._file, "rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:  # made anew
                    self._offset, self._by_key = 0, {}
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            self._offset, self._by_key = 0, {}
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue
            self._by_key.setdefault(entry.key, []).append(entry)


def write(path: Path, data: bytes) -> None:
    """Write a file; it is on the disk on return."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """What a file or a folder holds is on the disk on return."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
