"""The progress of a run, as other processes read it: `live/<id>.progress` while it is
under way, and how the last run ended: `last-run.json`.

A reader gets what the run wrote last, at most a second or two ago. It never takes a
lock, writes nothing, and takes a file that is absent, cut short or in a newer format
for one that tells nothing.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args, get_origin, get_type_hints

PROGRESS_FORMAT = 1
"""Version of the file's format. A reader ignores fields that it does not know."""

STATES = (
    *("waiting", "running", "made", "ran", "taken", "up to date"),
    *("deferred", "failed", "not run", "interrupted", "ignored"),
)
"""States of a stage in a run. `taken`: another process made it, or its teacher wrote
the same rows; `ran`: a task of the user's own; `not run`: what it needs failed."""

MOST_LISTED = 200
"""Most running stages, and most failures, in the file. Counts have all of them."""


@dataclass(frozen=True)
class RunningStage:
    """A stage that is being made."""

    name: str
    key: str
    kind: str
    """`model`, `eval`, `samples`, `dataset`, `upload` or `base`; `task` for a task of
    the user's own."""
    since: float
    """Time at which the run began it, in seconds since the epoch."""
    done: int = 0
    """Of `total`, in `unit`; both are 0 while nothing is counted."""
    total: int = 0
    unit: str = ""
    """`steps`, `samples`; empty while nothing is counted."""
    note: str = ""
    """What is known besides, such as `loss 0.123` or `waits for a worker`."""
    queue: int | None = None
    """Position among the stages that wait for a worker of this run, from 1. None if it
    does not wait, or waits at a provider, which tells no position."""
    eta: float | None = None
    """Seconds until it is done, at its pace so far; None if unknown."""


@dataclass(frozen=True)
class FailedStage:
    """A stage that failed in this run."""

    name: str
    key: str
    kind: str
    at: float
    """Time of the failure, in seconds since the epoch."""
    error: str
    """The first line of the reason, without secrets."""


@dataclass(frozen=True)
class Snapshot:
    """The progress of one run, at one moment."""

    settings: tuple[str, ...]
    """Names of the settings that the run makes."""
    pid: int
    host: str
    started: float
    """Time at which the run began, in seconds since the epoch."""
    written: float
    """Time of this snapshot, in seconds since the epoch."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The variables of its command line (`seeds`, `smoke`, ...)."""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Kind -> state -> number of stages; a state of `STATES` without stages is left
    out."""
    cost: float | None = None
    """USD for what this run sent, as the ledger tells: paid, and estimated for jobs
    under way. None if nothing that it sent has a known cost."""
    running: tuple[RunningStage, ...] = ()
    """The first `MOST_LISTED`, oldest first."""
    failed: tuple[FailedStage, ...] = ()
    """The last `MOST_LISTED`, latest last."""
    ended: float | None = None
    """Time at which the run ended, in seconds since the epoch; None while it runs."""
    summary: tuple[str, ...] = ()
    """What the run came to, in lines, without secrets; empty while it runs."""
    format: int = PROGRESS_FORMAT

    def to_json(self) -> bytes:
        """The file's bytes."""
        return json.dumps(asdict(self), ensure_ascii=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Snapshot | None:
        """The snapshot in a file's bytes; None if they are cut short, are not of this
        form, or have a newer format."""
        try:
            told = json.loads(data)
        except ValueError:
            return None
        if not isinstance(told, dict) or told.get("format") != PROGRESS_FORMAT:
            return None
        found = _of(cls, told)
        return found if isinstance(found, cls) else None


@dataclass(frozen=True)
class UnderWay:
    """A run that has begun and not ended, as its files tell."""

    id: str
    """Name of its files and of its lock."""
    alive: bool
    """Whether a process holds its lock. If not, the run was killed; its files stay
    until the next run begins, or until `doit gc`."""
    snapshot: Snapshot | None
    """What it told last; None if it has told nothing yet, or in a newer format."""


def _of(kind: type, told: Any) -> Any:
    """An instance of one of these dataclasses from its JSON object; None if a field
    that is required is missing or a field has a value of another type."""
    if not isinstance(told, dict):
        return None
    hints = get_type_hints(kind)
    given = {}
    for each in fields(kind):
        if each.name not in told:
            continue
        value = _value(hints[each.name], told[each.name])
        if value is None and told[each.name] is not None:
            return None
        given[each.name] = value
    try:
        return kind(**given)
    except TypeError:
        return None


def _value(hint: Any, value: Any) -> Any:
    """A field's value; None if it has not the type of the annotation."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple and isinstance(value, list):
        one = args[0]
        found = [v if one is str else _of(one, v) for v in value]
        good = all(isinstance(v, one) for v in found)
        return tuple(found) if good else None
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(args[1], value)
    if origin is types.UnionType:
        return None if value is None else _value(args[0], value)
    if isinstance(value, bool):
        return None
    if hint is float and isinstance(value, int | float):
        return float(value)
    return value if hint in (int, str) and isinstance(value, hint) else None


def _mapping(of: Any, value: Any) -> Mapping[str, Any] | None:
    if not isinstance(value, dict):
        return None
    found = {name: _value(of, one) for name, one in value.items()}
    return None if None in found.values() else found
