"""The run log, `artifacts/runs.jsonl`: the stages of each setting, run by run."""

from __future__ import annotations

import calendar
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import cached_property
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


@dataclass(frozen=True)
class Run:
    """A line of the run log: what one setting stood for when a run began."""

    time: str
    """UTC, in the form of `now`; empty in a damaged line."""
    setting: str
    stages: Mapping[str, str]
    """Stage name -> key."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The `name=value` words of the command."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path of each source file (rows, code of evals) -> the digest that it had; empty
    in lines of earlier versions."""
    commit: str | None = None
    """The git commit that the project was at; None if it is not known."""
    dirty: bool | None = None
    """Whether files of the project were not as in that commit."""

    @cached_property
    def id(self) -> str:
        """Eight hex digits that stand for the run. They are computed from the line, so
        they stay the same when the log is pruned."""
        of = (self.time, self.setting, dict(self.variables), dict(self.stages))
        return digest_bytes(json.dumps(of).encode())[:8]

    @property
    def is_smoke(self) -> bool:
        return self.variables.get("smoke") == "yes"

    @property
    def seconds(self) -> float:
        """When the run began, in seconds since the epoch; infinite if that is not
        known, so that a damaged line is never too old to keep."""
        try:
            return seconds_of(self.time)
        except ValueError:
            return math.inf

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Run | None:
        """The run of a decoded line; None if the line names no stages."""
        stages, variables = line.get("stages"), line.get("variables")
        files = line.get("files")
        if not isinstance(stages, dict):
            return None
        return cls(
            time=str(line.get("time", "")),
            setting=str(line.get("setting", "")),
            stages=stages,
            variables=variables if isinstance(variables, dict) else {},
            files=files if isinstance(files, dict) else {},
            commit=line.get("commit"),
            dirty=line.get("dirty"),
        )


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
        self,
        variables: Mapping[str, str],
        settings: Mapping[str, Sequence[Stage]],
        about: Callable[[str], Mapping[str, Any]] = lambda setting: {},
    ) -> None:
        """Log the stages of each setting, unless its latest line has the same keys and
        is younger than `DAY`: a run with nothing to do must cost nothing. `about`,
        called only if a line is logged, returns further fields of a setting's line:
        `files`, and `commit` and `dirty` if they are known."""
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
                **about(setting),
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
                same = json.dumps([run.stages, run.variables])
                place = run.setting, digest_bytes(same.encode())
                last[run.setting] = equal[place] = number
                notes.append((line, run.seconds))
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

    def __iter__(self) -> Iterator[Run]:
        """Every logged run, oldest first. A line cut by a full disk is skipped.

        Raises NewerFormat for a line in a newer format, and ArtifactError if the file
        cannot be read.
        """
        return (run for _, run in self._lines())

    def _lines(self) -> Iterator[tuple[bytes, Run]]:
        with suppress(FileNotFoundError), self._opened() as file:
            for line in file:
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if not isinstance(found, dict):
                    continue
                check_format(found, f"a line of {self._file}")
                run = Run.of(found)
                if run:
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
            for name, key in run.stages.items():
                keys.setdefault(name, {}).pop(key, None)
                keys[name][key] = None
        return {name: list(found) for name, found in keys.items()}


def now() -> str:
    """The time in UTC, as ISO 8601 to the second."""
    return moment(time.time())


def moment(seconds: float) -> str:
    """A time in seconds since the epoch, in the form of `now`."""
    return time.strftime(MOMENT, time.gmtime(seconds))


def seconds_of(moment: str) -> float:
    """A time in the form of `now`, in seconds since the epoch. Raises ValueError."""
    return float(calendar.timegm(time.strptime(moment, MOMENT)))
