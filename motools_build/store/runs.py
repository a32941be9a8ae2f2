"""The run log, `artifacts/runs.jsonl`: the stages of each setting, run by run."""

from __future__ import annotations

import calendar
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import IO, Any

from motools_build.errors import ArtifactError
from motools_build.keys import digest_bytes
from motools_build.stages import Stage
from motools_build.store.files import append, replace
from motools_build.store.locks import Locks
from motools_build.store.records import FORMAT, check_format
from motools_build.text.scrub import scrub
from motools_build.text.visible import written

MOMENT = "%Y-%m-%dT%H:%M:%SZ"

DAY = 86_400
"""Seconds after which an unchanged run is logged again, because `gc` keeps the stages
of recent runs."""


class RunLog:
    """A file of JSON lines: time, setting, variables, and the keys of its stages.

    It shows whether a cell without a present result is stale or missing, which model a
    name means, and which artifacts recent runs refer to.
    """

    def __init__(self, file: Path, locks: Locks) -> None:
        self._file = file
        self._index = file.with_suffix(".latest.json")
        self._locks = locks

    def note(
        self, variables: Mapping[str, str], settings: Mapping[str, Sequence[Stage]]
    ) -> None:
        """Log the stages of each setting, unless its latest line has the same keys and
        is younger than `DAY`: a run with nothing to do must cost nothing."""
        latest = self._latest()
        lines = []
        for setting, stages in settings.items():
            stands_for = digest_bytes("".join(stage.key for stage in stages).encode())
            noted = latest.get(setting)
            if noted and noted[0] == stands_for and time.time() - noted[1] < DAY:
                continue
            latest[setting] = (stands_for, time.time())
            line = {
                "format": FORMAT,
                "time": now(),
                "setting": setting,
                "variables": dict(variables),
                "stages": {stage.name: stage.key for stage in stages},
            }
            lines.append(json.dumps(line, ensure_ascii=False))
        if not lines:
            return
        with self._writing():
            append(self._file, written(scrub("".join(f"{line}\n" for line in lines))))
        temporary = self._index.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(latest))
        temporary.replace(self._index)

    def prune(self, days: float) -> None:
        """Remove lines that no command needs: all but the last of a setting's equal
        lines, and those older than `days`, except each setting's last one. A line is 3
        MB for a plan of 30,000 stages, and most commands read all of them.

        Raises NewerFormat, and changes nothing, if one has a newer format.
        """
        since = time.time() - days * DAY
        with self._writing():
            last: dict[str, int] = {}
            equal: dict[tuple[str, str], int] = {}
            notes = []
            for number, (line, run) in enumerate(self._lines()):
                setting = str(run.get("setting"))
                same = json.dumps([run["stages"], run.get("variables")])
                last[setting] = equal[setting, digest_bytes(same.encode())] = number
                notes.append((line, _seconds_of(run)))
            needed = {*last.values()} | {
                number for number in equal.values() if notes[number][1] >= since
            }
            if len(needed) < len(notes):
                kept = (line for n, (line, _) in enumerate(notes) if n in needed)
                lines = (line.rstrip(b"\n") + b"\n" for line in kept)
                replace(self._file, b"".join(lines))

    def _writing(self) -> AbstractContextManager[None]:
        """Within the block no other process appends to the file or rewrites it. Waits
        until that is so."""
        return self._locks.held(self._file.name)

    def _latest(self) -> dict[str, tuple[str, float]]:
        """Setting -> digest of the keys in its latest line, and the line's time in
        seconds since the epoch. Only an index: if it is lost, a run is logged again."""
        try:
            found = json.loads(self._index.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every logged run, oldest first. A line cut by a full disk is skipped.

        Raises NewerFormat for a line in a newer format, and ArtifactError if the file
        cannot be read.
        """
        return (run for _, run in self._lines())

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        with suppress(FileNotFoundError), self._opened() as file:
            for line in file:
                try:
                    run = json.loads(line)
                except ValueError:
                    continue
                if not isinstance(run, dict):
                    continue
                check_format(run, f"a line of {self._file}")
                if isinstance(run.get("stages"), dict):
                    yield line, run

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
        """Stage name -> the keys that it had in logged runs, the latest last."""
        keys: dict[str, dict[str, None]] = {}
        for run in self:
            for name, key in run["stages"].items():
                keys.setdefault(name, {}).pop(key, None)
                keys[name][key] = None
        return {name: list(found) for name, found in keys.items()}


def now() -> str:
    """The time in UTC, as ISO 8601 to the second."""
    return moment(time.time())


def moment(seconds: float) -> str:
    """A time in seconds since the epoch, in the form of `now`."""
    return time.strftime(MOMENT, time.gmtime(seconds))


def _seconds_of(run: Mapping[str, Any]) -> float:
    """When a run was logged, in seconds since the epoch; infinite for a line without a
    valid time, so that it is never too old to keep."""
    try:
        return seconds_of(run["time"])
    except (KeyError, TypeError, ValueError):
        return math.inf


def seconds_of(moment: str) -> float:
    """A time in the form of `now`, in seconds since the epoch. Raises ValueError."""
    return float(calendar.timegm(time.strptime(moment, MOMENT)))
