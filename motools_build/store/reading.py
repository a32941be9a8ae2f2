"""Reading the record of an artifact, and telling whether the artifact is whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motools_build.stages import Stage
from motools_build.store.accepted import Acceptance
from motools_build.store.files import read_small
from motools_build.store.payload import RECORD, wrong_size
from motools_build.store.records import Record
from motools_build.store.shared.lazy import is_marked

NOT_MADE = "not made yet"


def of_stage(root: Path, stage: Stage) -> Record | str:
    """The record of the artifact under the stage's own key, or in a few words why there
    is no valid one."""
    folder = f"{root}/{stage.folder}"
    return _read(folder, stage.kind, stage.key, stage.preimage)


def of_accepted(root: Path, accepted: Acceptance) -> Record | str:
    """The record of the artifact that a stage was accepted as, or why it has none."""
    folder = f"{root}/{accepted.kind}/{accepted.backend}-{accepted.of}"
    found = _read(folder, accepted.kind, accepted.of, None)
    if isinstance(found, Record):
        return found
    what = "is gone" if found == NOT_MADE else f"is damaged ({found})"
    return f"what it was accepted as, the artifact {accepted.of[:8]}, {what}"


def _read(
    folder: str, kind: str, key: str, preimage: Mapping[str, Any] | None
) -> Record | str:
    try:
        path = f"{folder}/{RECORD}"
        record = Record.decode(read_small(path), path)
    except (FileNotFoundError, NotADirectoryError):
        return NOT_MADE
    except OSError as error:
        return f"its record cannot be read ({error.strerror})"
    if record is None or record.key != key or record.kind != kind:
        return "its record is damaged"
    # Unequal preimages can have one key: JSON writes some numbers in two ways.
    if record.preimage != preimage and not record.is_of_its_key():
        return "its record is damaged: its preimage is not its key's"
    problem = wrong_size(folder, record)
    return record if problem is None or is_marked(folder) else problem


def whole(path: Path) -> Record | None:
    """The record in a file; None if the file is missing, unreadable or damaged, or its
    preimage does not hash to its key. Raises NewerFormat."""
    try:
        data = path.read_bytes()
    except OSError:  # also a folder in its place: one record must not hide the others
        return None
    record = Record.decode(data, str(path))
    return record if record and record.is_of_its_key() else None
