"""State files: what happened on the way to an artifact that is not there yet.

`artifacts/state/<key>.json` holds a stage's last failure, and how far its paid effect
is. It is removed once the artifact is there.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from types import NoneType
from typing import Any

from motools_build.errors import ArtifactError, NewerFormat
from motools_build.keys import opened
from motools_build.store.files import replace
from motools_build.store.records import (
    FORMAT,
    PHASES,
    Failure,
    Paid,
    check_format,
    known_fields,
)
from motools_build.store.runs import now
from motools_build.text.scrub import scrub
from motools_build.text.visible import written

UNFINISHED = frozenset({"intent", "bound"})
"""Phases in which a provider may hold, or will hold, what was paid for."""


class States:
    """The state files, by key. Each is written whole, and is on the disk when the call
    that writes it returns."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "state"

    def failure(self, key: str) -> Failure | None:
        """The last failure, if the stage has not succeeded since."""
        path = self._path(key)
        try:
            found = self._read(key).get("failure")
            failure = known_fields(Failure, found) if found else None
        except NewerFormat as error:
            return Failure("", "", NewerFormat.__name__, str(error))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            return Failure("", "", "damaged", f"{path} is damaged: {error}")
        message = failure.message if failure else None
        if found and not (isinstance(message, str) and message):
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
        except NewerFormat:  # not ours to write
            return
        except ArtifactError:  # damaged: only the failure can be told
            paid = None
        self._write(key, failure, paid)

    def paid(self, key: str) -> Paid | None:
        """How far the stage's paid effect is; None if none was begun. Raises
        ArtifactError if the file is damaged, and NewerFormat if only a later version
        can read it."""
        try:
            found = self._read(key).get("paid")
            if not found:
                return None
            paid = known_fields(Paid, found)
            if paid is None or not _plausible(paid):
                raise ValueError("a field is missing, or is none of its kind")
            if paid.phase in PHASES:
                return paid
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{self._path(key)} is damaged ({error}), and may tell of a job that "
                "was paid for: delete it; the next run looks for the job in "
                "artifacts/ledger.jsonl and at its provider"
            ) from error
        raise NewerFormat(
            f"{self._path(key)} is in a phase, {paid.phase!r}, that this motools_build "
            "does not know; it was left as it is: upgrade motools_build"
        )

    def save_paid(self, key: str, paid: Paid) -> None:
        """Write how far a paid effect is, and forget a failure."""
        self._write(key, None, paid)

    def known(self) -> list[str]:
        """The keys that have a state file."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def exists(self, key: str) -> bool:
        """Whether the key has a state file."""
        return self._path(key).exists()

    def clear(self, key: str) -> None:
        """Remove the key's state file, since its artifact is there."""
        self._path(key).unlink(missing_ok=True)

    def clean(self, key: str) -> None:
        """Forget a failure, never an intent or an unfinished job."""
        try:
            paid = self.paid(key)
        except NewerFormat:
            return
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
            with opened(path) as file:
                found = json.loads(file.readall())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        if not isinstance(found, dict):
            raise ValueError(f"{path} is damaged: it is not an object")
        check_format(found, str(path))
        return found

    def _write(self, key: str, failure: Failure | None, paid: Paid | None) -> None:
        path = self._path(key)
        before = self._before(key)
        body = {
            **before,
            "format": FORMAT,
            "failure": asdict(failure) if failure else None,
            "paid": {**(before.get("paid") or {}), **asdict(paid)} if paid else None,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        text = scrub(json.dumps(body, ensure_ascii=False, indent=1))
        replace(path, written(text))

    def _before(self, key: str) -> dict[str, Any]:
        """What the file holds, so that fields of a later version are kept when it is
        written again. Raises NewerFormat for a file that must not be."""
        try:
            found = self._read(key)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found.get("paid"), dict | NoneType) else {}


def _plausible(paid: Paid) -> bool:
    """Whether each field has a value of its kind: a wait until NaN would never end."""
    return (
        isinstance(paid.id, str)
        and type(paid.attempt) is int
        and math.isfinite(paid.since)
        and math.isfinite(paid.missing)
        and isinstance(paid.until, int | float)
        and isinstance(paid.nonces, list)
    )
