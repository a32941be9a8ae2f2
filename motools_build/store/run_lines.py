"""Lines of the run log: a run in whole, or as what changed since an earlier one.

A whole line has all stages of a setting, which is 3 MB for 30,000 of them. So a run is
told by what changed since the last line of the same setting and variables, whose run ID
it names as `before`. If that line was lost or cut short, the ID is not that of the line
before, and the run is unknown, like those after it, until the next whole line. One
follows when the short ones since the last come to its size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json

from motools_build.stages import setting_of
from motools_build.store.logged import Run, mapping, place_of
from motools_build.store.records import FORMAT, check_format
from motools_build.text.scrub import scrub
from motools_build.text.visible import written

SHORT = 2
"""The format number of a line that tells what changed; whole lines have the first."""

VERSION = "0.1.0"
"""The first version of motools_build that knows `SHORT`, for errors of earlier ones."""

FOLLOWED = 8
"""Number of a setting's sets of variables, those used last, whose next line may tell
what changed. Each costs as much space in the index as its stages."""

SMALL = 4096
"""Bytes of short lines after which a whole one may follow, however short it is."""

TOLD = (
    *("format", "version", "id", "time", "setting", "variables"),
    *("before", "stages", "gone", "files", "files_gone"),
)
"""Fields of a line that `Lines` reads; others, of a later version, are kept."""


CHANGES = ("stages", "gone", "files", "files_gone")
"""Fields with what changed, in a line that tells no more."""


@dataclass
class State:
    """What the last line of a setting and its variables stood for."""

    id: str
    stages: dict[str, str]
    files: dict[str, str]
    owners: set[str]
    """The settings that the names of the stages begin with."""
    loose: int
    """Number of bytes of the lines since the last whole one."""
    whole: int
    """Number of bytes of that whole one."""


@dataclass(frozen=True)
class Stored:
    """A state that is read from a file when it is needed."""

    id: str
    file: str
    load: Callable[[], State]


@dataclass(frozen=True)
class Read:
    """A line that was understood."""

    found: Mapping[str, Any]
    """The decoded line."""
    state: State
    """What it stood for. The object changes with later lines."""
    news: Mapping[str, str]
    """Those of its stages whose keys may not be the latest that the log has of their
    names. So whoever wants only the latest key of each name needs no others."""

    def run(self) -> Run:
        """The run in whole."""
        run = replace(self.head(), stages=dict(self.state.stages))
        if isinstance(self.found.get("id"), str):
            run.__dict__["id"] = self.found["id"]  # else computed from all its stages
        return run

    def head(self) -> Run:
        """The run without its stages."""
        found = self.found
        return Run(
            time=str(found.get("time", "")),
            setting=str(found.get("setting", "")),
            stages={},
            variables=mapping(found.get("variables")),
            files=self.state.files,
            commit=found.get("commit"),
            dirty=found.get("dirty"),
        )

    def equals(self, before: Read | None) -> bool:
        """Whether the line tells the same as the one before it of its setting, but for
        the time."""
        if before is None:
            return False
        own, other = self.head(), before.head()
        if (own.place, own.commit, own.dirty) != (
            other.place,
            other.commit,
            other.dirty,
        ):
            return False
        if self.state is before.state:  # the line tells what changed since that one
            return not any(self.found.get(name) for name in CHANGES)
        return (own.files, self.state.stages) == (other.files, before.state.stages)


class Lines:
    """Reads decoded lines, oldest first."""

    def __init__(self) -> None:
        self.states: dict[str, State | Stored] = {}
        """`Run.place` -> what its last line stood for, the latest line last."""
        self.touched: dict[str, str] = {}
        """Setting -> ID of the last run with a stage whose name begins with it."""

    def read_line(self, line: bytes, what: str) -> Read | None:
        """Read the next line of the file; None as `read`, and for a line that was cut
        short. Raises NewerFormat, which calls the line `what`."""
        found = decoded(line)
        if found is None:
            return None
        check_format(found, what, known=SHORT)
        return self.read(found, len(line))

    def read(self, found: Mapping[str, Any], size: int) -> Read | None:
        """The next line, of so many bytes; None if it names no stages, or tells what
        changed since a line that is not there."""
        setting, variables = str(found.get("setting", "")), found.get("variables")
        place = place_of(setting, variables)
        told, before = found.get("stages"), found.get("before")
        if not isinstance(told, dict):
            return None
        if found.get("format") != SHORT:
            state = self._whole(found, told, size)
            news: Mapping[str, str] = told
        else:
            earlier = self.state_of(place, before)
            if earlier is None:
                self.states.pop(place, None)
                self.touched[setting] = ""
                return None
            state = earlier
            owners = state.owners | {setting_of(name) for name in told}
            # if another line came between, a name may have had another key since
            follows = all(self.touched.get(owner) == before for owner in owners)
            self._change(state, found, size)
            news = told if follows else state.stages
        self.states.pop(place, None)
        self.states[place] = state
        for owner in state.owners:
            self.touched[owner] = state.id
        self._forget(setting)
        return Read(found, state, news)

    def state_of(self, place: str, id: object = None) -> State | None:
        """What the last line of a place stood for; None if it is not known, or if it is
        not the line of the run `id`."""
        state = self.states.get(place)
        if state is None or id not in (None, state.id):
            return None
        if isinstance(state, Stored):
            state = self.states[place] = state.load()
        return state

    def _whole(self, found: Mapping[str, Any], told: Any, size: int) -> State:
        state = State(
            id="",
            stages=dict(told),
            files=dict(mapping(found.get("files"))),
            owners={setting_of(name) for name in told},
            loose=0,
            whole=size,
        )
        said = found.get("id")
        state.id = said if isinstance(said, str) else Read(found, state, {}).run().id
        return state

    def _change(self, state: State, found: Mapping[str, Any], size: int) -> None:
        state.id = str(found.get("id"))
        state.loose += size
        state.stages.update(found["stages"])
        for name in _names(found.get("gone")):
            state.stages.pop(name, None)
        state.owners |= {setting_of(name) for name in found["stages"]}
        files, gone = mapping(found.get("files")), _names(found.get("files_gone"))
        if files or gone:  # a new mapping: runs that were returned have the old one
            state.files = {**state.files, **files}
            for name in gone:
                state.files.pop(name, None)

    def _forget(self, setting: str) -> None:
        """Forget all but the latest places of a setting, so that they do not pile
        up."""
        begin = json.dumps([setting])[:-1] + ","
        its = [place for place in self.states if place.startswith(begin)]
        for place in its[:-FOLLOWED]:
            del self.states[place]

    def line_of(self, run: Run, more: Mapping[str, Any] | None = None) -> bytes:
        """The shortest line of a run that comes next. `more` are further fields."""
        state = self.state_of(run.place)
        fields = _told(run, more or {})
        if state is not None:
            short = _encoded(_changes(run, state, fields))
            if len(short) + state.loose < max(state.whole, SMALL):
                return short
        return _encoded({"format": FORMAT, **fields})


def _told(run: Run, more: Mapping[str, Any]) -> dict[str, Any]:
    revision = {"commit": run.commit, "dirty": run.dirty}
    return {
        "time": run.time,
        "setting": run.setting,
        "variables": dict(run.variables),
        "id": run.id,
        **{name: value for name, value in revision.items() if value is not None},
        **{name: value for name, value in more.items() if name not in TOLD},
        "files": dict(run.files),
        "stages": dict(run.stages),
    }


def _changes(run: Run, state: State, fields: Mapping[str, Any]) -> dict[str, Any]:
    stages, files = run.stages, run.files
    changed = {
        "stages": {n: k for n, k in stages.items() if state.stages.get(n) != k},
        "gone": [n for n in state.stages if n not in stages],
        "files": {n: d for n, d in files.items() if state.files.get(n) != d},
        "files_gone": [n for n in state.files if n not in files],
    }
    told = {name: v for name, v in changed.items() if v or name == "stages"}
    left = {n: v for n, v in fields.items() if n not in ("stages", "files")}
    head = {"format": SHORT, "version": VERSION, "before": state.id}
    return {**head, **left, **told}


def _encoded(line: Mapping[str, Any]) -> bytes:
    return written(scrub(json.dumps(line, ensure_ascii=False)))


def decoded(line: bytes) -> dict[str, Any] | None:
    """The object of a line; None if it is not one."""
    try:
        found = from_json(line)
    except ValueError:
        try:  # a lone surrogate
            found = json.loads(line)
        except ValueError:
            return None
    return found if isinstance(found, dict) else None


def _names(value: Any) -> Iterator[str]:
    return (n for n in (value if isinstance(value, list) else ()) if isinstance(n, str))
