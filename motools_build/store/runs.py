"""The run log, `artifacts/runs.jsonl`: the stages of each setting, run by run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from motools_build.errors import ArtifactError
from motools_build.keys import digest_bytes
from motools_build.stages import Stage
from motools_build.store.files import append, replace, whole_file
from motools_build.store.locks import Locks
from motools_build.store.logged import Run as Run
from motools_build.store.logged import moment as moment
from motools_build.store.logged import now as now
from motools_build.store.logged import seconds_of as seconds_of
from motools_build.store.run_index import RunIndex
from motools_build.store.run_lines import SHORT, TOLD, Lines, Read, decoded

DAY = 86_400
"""Seconds after which an unchanged run is logged again, because `gc` keeps the stages
of recent runs."""

SIZE = ""
"""Name in the file of latest runs under which the log's size is, as no setting is
called."""


@dataclass(frozen=True)
class Change:
    """A run as what it changed."""

    setting: str
    is_smoke: bool
    stages: Mapping[str, str]
    """Stage name -> key: all of the run whose key is not the latest that an earlier run
    had under this name, and perhaps others."""


class RunLog:
    """A file of JSON lines: time, setting, variables, and the keys of its stages.

    It shows whether a cell without a present result is stale or missing, which model a
    name means, and which artifacts recent runs refer to.
    """

    def __init__(self, file: Path, locks: Locks) -> None:
        self._file = file
        self._noted = file.with_suffix(".latest.json")
        self._locks = locks
        self._index = RunIndex(file)

    # ---- writing

    def note(
        self,
        variables: Mapping[str, str],
        settings: Mapping[str, Sequence[Stage]],
        about: Callable[[str], Mapping[str, Any]] = lambda setting: {},
    ) -> None:
        """Log the stages of each setting, unless its latest line has the same ones and
        is younger than `DAY`: a run with nothing to do must cost nothing. `about`,
        called only if a line is logged, returns further fields of a setting's line:
        `files`, and `commit` and `dirty` if they are known."""
        stand_for = {name: _digest(stages) for name, stages in settings.items()}
        latest = self._latest()
        due = [name for name in settings if _is_due(latest.get(name), stand_for[name])]
        if not due:
            return
        with self._writing():
            latest = self._latest()
            self._refresh()
            lines = []
            for setting in due:
                stages = {stage.name: stage.key for stage in settings[setting]}
                last = self._index.last_state(setting)
                since = self._since(setting)
                if not last or last.stages != stages or time.time() - since >= DAY:
                    run = Run.beginning(setting, stages, variables, about(setting))
                    lines.append(self._index.next_line(run) + b"\n")
                    since = time.time()
                latest[setting] = [stand_for[setting], since]
            if lines:
                append(self._file, b"".join(lines))
                self._refresh()
            self._save_latest(latest)

    def _since(self, setting: str) -> float:
        """When the setting was logged last, in seconds since the epoch; 0 if that is
        not known."""
        try:
            return seconds_of(self._index.last[setting][2])
        except (KeyError, ValueError):
            return 0.0

    def prune(self, days: float, needed: Set[str] = frozenset()) -> None:
        """Remove lines that tell nothing more: those between two that equal them, and
        those older than `days`, except each setting's last one and those with a stage
        whose key is `needed`.

        Raises NewerFormat, and changes nothing, if one has a newer format.
        """
        since = time.time() - days * DAY
        with self._writing():
            latest = self._latest()
            last: dict[str, int] = {}
            equal: dict[int, bool] = {}
            needless: set[int] = set()
            before: dict[str, Read] = {}
            old = []
            for number, (_, read) in enumerate(self._lines()):
                run = read.head()
                equal[number] = read.equals(before.get(run.setting))
                if equal[number] and equal[last[run.setting]]:
                    needless.add(last[run.setting])
                last[run.setting], before[run.setting] = number, read
                if run.seconds < since and needed.isdisjoint(
                    read.state.stages.values()
                ):
                    old.append(number)
            needless.update(set(old) - set(last.values()))
            if needless:
                self._rewrite(needless)
                self._index = RunIndex(self._file)
            self._refresh()
            self._index.save()
            self._save_latest(latest)

    def _rewrite(self, needless: set[int]) -> None:
        """Replace the log by one without these runs, and without lines that cannot be
        read."""
        lines = Lines()
        with whole_file(self._file) as copy, open(copy, "wb") as file:
            for number, (line, read) in enumerate(self._lines()):
                if number in needless:
                    continue
                line = line.rstrip(b"\n")
                found, run = read.found, read.head()
                if found.get("format") == SHORT and not lines.state_of(
                    run.place, found["before"]
                ):
                    more = {n: v for n, v in found.items() if n not in TOLD}
                    line = lines.line_of(read.run(), more)
                lines.read(decoded(line) or {}, len(line) + 1)
                file.write(line + b"\n")

    def _writing(self) -> AbstractContextManager[None]:
        """Within the block no other process appends to the file or rewrites it. Waits
        until that is so."""
        return self._locks.held(self._file.name)

    def _latest(self) -> dict[str, list[Any]]:
        """Setting -> digest of the stages in its latest line, and the line's time in
        seconds since the epoch. Only an index: a setting that is not in it is looked up
        in the log. Empty if lines were logged that it does not know."""
        try:
            found = json.loads(self._noted.read_bytes())
            size = os.stat(self._file).st_size
        except (OSError, ValueError):
            return {}
        known = isinstance(found, dict) and found.pop(SIZE, None) == [size]
        return found if known else {}

    def _save_latest(self, latest: Mapping[str, list[Any]]) -> None:
        with suppress(FileNotFoundError):  # no line was ever logged
            size = os.stat(self._file).st_size
            replace(self._noted, json.dumps({SIZE: [size], **latest}).encode())

    # ---- reading

    def __iter__(self) -> Iterator[Run]:
        """Every logged run, oldest first. A line cut by a full disk is skipped, and so
        are those that cannot be understood without it.

        Raises NewerFormat for a line in a newer format, and ArtifactError if the file
        cannot be read.
        """
        return (read.run() for _, read in self._lines())

    def changes(self) -> Iterator[Change]:
        """Every logged run as what it changed, oldest first: whoever wants only the
        latest key of each name, or every name of each key, reads far less. Raises as
        `__iter__` does."""
        for _, read in self._lines():
            run = read.head()
            yield Change(run.setting, run.is_smoke, read.news)

    def keys_of(self, name: str) -> list[str]:
        """The keys that a stage name had in logged runs, the latest last. The log is
        read once; `refresh` reads on. Raises as `__iter__` does."""
        if not self._index.upto:
            self.refresh()
        return self._index.keys_of(name)

    def names_of(self, setting: str) -> list[str]:
        """The stage names of logged runs that begin with the setting. Raises as
        `__iter__` does."""
        self.refresh()
        return list(self._index.keys(setting))

    def refresh(self) -> None:
        """Read what was logged since `keys_of` was asked first."""
        self._refresh()
        if self._index.is_behind:
            with suppress(OSError, ArtifactError):  # only an index
                self._save_index()

    def _save_index(self) -> None:
        """Save the index, unless another process is writing."""
        if self._locks.take(self._file.name):
            try:
                self._index.save()
            finally:
                self._locks.drop(self._file.name)

    def _refresh(self) -> None:
        with self._readable():
            self._index.refresh()

    def _lines(self) -> Iterator[tuple[bytes, Read]]:
        lines = Lines()
        with suppress(FileNotFoundError), self._opened() as file:
            for line in file:
                read = lines.read_line(line, f"a line of {self._file}")
                if read:
                    yield line, read

    def _opened(self) -> IO[bytes]:
        with self._readable():
            return open(self._file, "rb")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ArtifactError(
                f"{self._file}, which tells what runs stood for, cannot be read "
                f"({error.strerror}): mend its permissions, or put the file back"
            ) from error


def _digest(stages: Sequence[Stage]) -> str:
    told = "\n".join([f"{stage.key} {stage.name}" for stage in stages])
    return digest_bytes(told.encode("utf-8", "backslashreplace"))


def _is_due(noted: object, stands_for: str) -> bool:
    """Whether a setting whose stages have this digest is to be looked up in the log, by
    what the file of latest runs has of it."""
    match noted:
        case [digest, int() | float() as since]:
            return digest != stands_for or time.time() - since >= DAY
    return True
