"""The run log: what each setting stood for, run by run."""

from __future__ import annotations

import calendar
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from motools_build.errors import ArtifactError
from motools_build.keys import digest_bytes
from motools_build.stages import Stage
from motools_build.text.scrub import scrub
from motools_build.text.visible import written

MOMENT = "%Y-%m-%dT%H:%M:%SZ"

DAY = 86_400
"""Seconds after which the same run is noted again: `gc` keeps what runs stood for."""


class RunLog:
    """A file of JSON lines: time, setting, variables, and its stages' keys.

    It tells a stale cell from a missing one, which model a name means, and what a
    recent run still refers to.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._index = file.with_suffix(".latest.json")

    def note(
        self, variables: Mapping[str, str], settings: Mapping[str, Sequence[Stage]]
    ) -> None:
        """Note what each setting stands for in this run, unless its latest note of the
        day says the same: nothing to do must cost nothing."""
        latest = self._latest()
        lines = []
        for setting, stages in settings.items():
            stands_for = digest_bytes("".join(stage.key for stage in stages).encode())
            noted = latest.get(setting)
            if noted and noted[0] == stands_for and time.time() - noted[1] < DAY:
                continue
            latest[setting] = (stands_for, time.time())
            line = {
                "time": now(),
                "setting": setting,
                "variables": dict(variables),
                "stages": {stage.name: stage.key for stage in stages},
            }
            lines.append(json.dumps(line, ensure_ascii=False))
        if not lines:
            return
        append(self._file, written(scrub("".join(f"{line}\n" for line in lines))))
        temporary = self._index.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(latest))
        temporary.replace(self._index)

    def _latest(self) -> dict[str, tuple[str, float]]:
        """Setting -> what its latest note stood for, and when. Only an index: without
        it a run is noted once more."""
        try:
            found = json.loads(self._index.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every noted run, oldest first. A line cut by a full disk is passed over."""
        with suppress(FileNotFoundError), self._opened() as file:
            for line in file:
                try:
                    run = json.loads(line)
                except ValueError:
                    continue
                if isinstance(run, dict) and isinstance(run.get("stages"), dict):
                    yield run

    def _opened(self) -> IO[bytes]:
        try:
            return open(self._file, "rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ArtifactError(
                f"{self._file}, which tells what runs stood for, cannot be read "
                f"({error.strerror}): mend its permissions, or put the file back"
            ) from error

    def older_keys(self) -> dict[str, list[str]]:
        """Stage name -> the keys that it stood for, the latest last."""
        keys: dict[str, dict[str, None]] = {}
        for run in self:
            for name, key in run["stages"].items():
                keys.setdefault(name, {}).pop(key, None)
                keys[name][key] = None
        return {name: list(found) for name, found in keys.items()}


def append(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Append whole lines to a file; with `sync` they are on the disk on return."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            data = b"\n" + data  # the last line was torn, by a full disk
        os.write(handle, data)
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return time.strftime(MOMENT, time.gmtime())


def seconds_of(moment: str) -> float:
    """What `now` said, in seconds since the epoch."""
    return float(calendar.timegm(time.strptime(moment, MOMENT)))
