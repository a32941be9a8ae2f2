"""The ledger, `artifacts/ledger.jsonl`: every intent to send a paid request, and every
provider ID that came back.

It is append-only; `clean` and `gc` leave it alone.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from motools_build.errors import ArtifactError, NewerFormat
from motools_build.keys import opened
from motools_build.store.files import append
from motools_build.store.records import Entry, check_format, known_fields
from motools_build.store.runs import seconds_of
from motools_build.text.scrub import scrub
from motools_build.text.visible import written


class Ledger:
    """A file of JSON lines, one for each event of a paid request.

    Fields that this version does not know are ignored. A line of a newer format cannot
    be read: `of` then raises NewerFormat for the line's key, or for every key if the
    line names none, because it is unknown what was paid for.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._offset = 0
        self._by_key: dict[str, list[Entry]] = {}
        self._newer: dict[str | None, NewerFormat] = {}

    def note(self, entry: Entry) -> None:
        """Append a line. It is on the disk when the call returns."""
        data = written(scrub(json.dumps(asdict(entry), ensure_ascii=False))) + b"\n"
        with self._lock:
            append(self._file, data, sync=True)

    def of(self, key: str) -> list[Entry]:
        """The lines of a key, oldest first, including those of other processes.

        Raises NewerFormat for a line of a newer format, and ArtifactError if the file
        cannot be read.
        """
        with self._lock:
            self._catch_up()
            newer = self._newer.get(key) or self._newer.get(None)
            if newer:
                raise newer
            return list(self._by_key.get(key, ()))

    def __iter__(self) -> Iterator[str]:
        """The keys that have lines, in the order of their first line; then the keys of
        lines in a newer format alone, "" for one without a key."""
        with self._lock:
            self._catch_up()
            newer = [key for key in self._newer if key not in self._by_key]
            return iter([*self._by_key, *(key or "" for key in newer)])

    def _catch_up(self) -> None:
        """Read the lines appended since the last call, except an incomplete last one.
        Raises ArtifactError."""
        try:
            with opened(self._file) as file:
                if os.fstat(file.fileno()).st_size < self._offset:  # another file now
                    self._forget()
                file.seek(self._offset)
                data = file.readall()
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise ArtifactError(
                f"{self._file} cannot be read ({error.strerror}), and it alone tells "
                "what was paid for: mend its permissions, or put the file back"
            ) from error
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.split(b"\n"):
            self._read(line)

    def _forget(self) -> None:
        self._offset, self._by_key, self._newer = 0, {}, {}

    def _read(self, line: bytes) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            return
        if not isinstance(found, dict):
            return
        key = found.get("key")
        try:
            check_format(found, f"a line of {self._file}")
        except NewerFormat as error:
            self._newer[key if isinstance(key, str) else None] = error
            return
        entry = known_fields(Entry, found)
        if entry and _is_sound(entry):
            self._by_key.setdefault(entry.key, []).append(entry)


def _is_sound(entry: Entry) -> bool:
    """Whether each field has a value of the right type; a run writes no other lines."""
    for name, value in vars(entry).items():
        if name == "cost":
            right = value is None or type(value) in (int, float)
        elif name in ("attempt", "format"):
            right = type(value) is int
        else:
            right = type(value) is {"adopted": bool}.get(name, str)
        if not right:
            return False
    try:
        seconds_of(entry.time)
    except ValueError:
        return False
    return True
