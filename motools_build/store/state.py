"""State files: what is known of stages that have no artifact yet.

`artifacts/state/<key>.json` holds a stage's last failure, and the progress of its paid
effect (an upload or a job). It is removed once the artifact exists.
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
"""Phases in which a paid job or upload may exist at the provider, or come to exist."""


class States:
    """The state files, by key. Each write is atomic, and on the disk when the call
    returns."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "state"

    def failure(self, key: str) -> Failure | None:
        """The stage's last failure; None if there is none, or it has succeeded since. A
        file that cannot be read gives a Failure that says so."""
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
        """Record why the stage failed. A file in a newer format is left as it is."""
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
        except NewerFormat:  # this version must not rewrite it
            return
        except ArtifactError:  # damaged: only the failure can be recorded
            paid = None
        self._write(key, failure, paid)

    def paid(self, key: str) -> Paid | None:
        """The progress of the stage's paid effect; None if none was begun. Raises
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
        except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
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
        """Record the progress of a paid effect, and forget a failure."""
        self._write(key, None, paid)

    def known(self) -> list[str]:
        """The keys that have a state file."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def exists(self, key: str) -> bool:
        """Whether the key has a state file."""
        return self._path(key).exists()

    def clear(self, key: str) -> None:
        """Remove the key's state file; for when its artifact exists."""
        self._path(key).unlink(missing_ok=True)

    def clean(self, key: str) -> None:
        """Forget a failure, never an intent or an unfinished job."""
        try:
            paid = self.paid(key)
        except NewerFormat:
            return
        except ArtifactError:
            paid = None  # the ledger has the ID of any job or upload
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
        """The file's present content, so that a rewrite keeps the fields of a later
        version; empty if it is damaged. Raises NewerFormat if a rewrite is forbidden,
        because the format is newer."""
        try:
            found = self._read(key)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found.get("paid"), dict | NoneType) else {}


def _plausible(paid: Paid) -> bool:
    """Whether each field has a value of the right type. `since` and `missing` must be
    finite: a wait counted from NaN would never end. `until` may be anything: a parking
    is over after a day (`report.payments.parked_until`)."""
    return (
        isinstance(paid.id, str)
        and type(paid.attempt) is int
        and math.isfinite(paid.since)
        and math.isfinite(paid.missing)
        and isinstance(paid.until, int | float)
        and isinstance(paid.nonces, list)
    )
