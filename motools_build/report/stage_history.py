"""The keys that one stage has had over time, and what became of their artifacts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from motools_build.report.contents import Contents
from motools_build.report.explain import Difference, differing
from motools_build.report.file_changes import FileChange, changed_files
from motools_build.report.history import metrics_of
from motools_build.report.run_changes import RunDiffs, derived_rows
from motools_build.store.accepted import Acceptance
from motools_build.store.records import Record
from motools_build.store.runs import Run

ROUNDS = 5
"""Number of times that a stage may have been renamed and is still followed."""


@dataclass
class Planned:
    """A key of a stage, and the runs that planned it."""

    key: str
    name: str
    """The name that the stage had last."""
    first: Run
    last: Run


@dataclass(frozen=True)
class KeyEntry:
    """A key in a stage's history."""

    planned: Planned
    present: bool
    """Whether it is the key that the stage has now."""
    record: Record | None
    """None if its artifact is gone, or was never made."""
    values: Mapping[str, Any]
    """Metric -> value, of an eval."""
    differences: tuple[Difference, ...] = ()
    """The fields of its key that differ from those of the key before, if both records
    remain."""
    changes: tuple[FileChange, ...] = ()
    """The files behind them."""
    datasets: Mapping[str, str] = field(default_factory=dict)
    """Path -> dataset's name, of rows that a transform made for the last run."""
    accepted: Acceptance | None = None
    """The acceptance by which the key has the artifact of another one, whose record
    and values these are."""

    def as_json(self) -> dict[str, Any]:
        record, planned = self.record, self.planned
        return {
            "key": planned.key,
            "stage": planned.name,
            "present": self.present,
            "first": {"run": planned.first.id, "time": planned.first.time},
            "last": {"run": planned.last.id, "time": planned.last.time},
            "remains": record is not None,
            "made": record.made.get("time") if record else None,
            "commit": record.made.get("commit") if record else None,
            "dirty": record.made.get("dirty") if record else None,
            "values": dict(self.values),
            "differences": list(self.differences),
            "changes": [one.as_json() for one in self.changes],
            "accepted": _accepted_json(self.accepted),
        }


@dataclass(frozen=True)
class StageHistory:
    """The keys of a stage, newest first."""

    stage: str
    """The name that it has now, or had last."""
    entries: tuple[KeyEntry, ...]
    earlier: int
    """Number of keys before those."""
    was: Mapping[str, str]
    """Name that it had before -> until when, in UTC."""
    next: str | None = None
    """The key that it has now, if no run has planned that yet."""
    next_record: Record | None = None
    """The record that it has under that key even so: it was accepted, or made by
    another setting."""
    next_accepted: Acceptance | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "was": dict(self.was),
            "next": self.next,
            "next_made": self.next_record.made.get("time")
            if self.next_record
            else None,
            "next_accepted": _accepted_json(self.next_accepted),
            "keys": [entry.as_json() for entry in self.entries],
            "earlier": self.earlier,
        }


def stage_history(
    name: str,
    key: str,
    runs: Callable[[], Iterable[Run]],
    diffs: RunDiffs,
    contents: Contents,
    present: Mapping[str, str],
    settings: Collection[str] = (),
    most: int = 10,
) -> StageHistory:
    """The last `most` keys of a stage. `key` is one that it has or had; `present` is
    stage name -> key of the present plan of its setting, and `settings` are the names
    that the setting had before. `runs` yields the run log anew at each call."""
    follow = _Names(name, runs, present, settings)
    keys = follow.keys(key)
    every = sorted(keys.values(), key=lambda one: one.last.time)
    shown = every[-most:] if most else []
    kind = name.partition(":")[0]
    entries = []
    before = every[-most - 1] if len(every) > most else None
    old = diffs.record(kind, before.key) if before else None
    for one in shown:
        record, accepted = diffs.found(kind, one.key)
        differ: tuple[Difference, ...] = ()
        changes: tuple[FileChange, ...] = ()
        if record and old:
            differ = tuple(differing(old.preimage, record.preimage))
            changes = tuple(changed_files(old, differ, contents, {}, 0))
        values = metrics_of(record.details) if record and kind == "eval" else {}
        is_present = one.key == present.get(name)
        made = {path: name for name, (path, _) in derived_rows(one.last).items()}
        entries.append(
            KeyEntry(one, is_present, record, values, differ, changes, made, accepted)
        )
        old = record or old
    earlier = len(every) - len(shown)
    now = present.get(name)
    not_run = now if now not in keys else None
    has = diffs.found(kind, not_run) if not_run else (None, None)
    return StageHistory(name, (*reversed(entries),), earlier, follow.was, not_run, *has)


def _accepted_json(accepted: Acceptance | None) -> dict[str, Any] | None:
    """An acceptance in JSON."""
    if accepted is None:
        return None
    told = ("of", "difference", "differs", "root", "by", "time", "why")
    return {name: getattr(accepted, name) for name in told}


class _Names:
    """Follows a stage through the names that it had, in the run log."""

    def __init__(
        self,
        name: str,
        runs: Callable[[], Iterable[Run]],
        present: Mapping[str, str],
        settings: Collection[str],
    ) -> None:
        self._name, self._runs = name, runs
        self._present, self._settings = present, settings
        self._kind, _, self._path = name.partition(":")
        self._setting, _, self._rest = self._path.partition("/")
        self.was: dict[str, str] = {}
        """Former name -> until when; filled by `keys`."""

    def keys(self, key: str) -> dict[str, Planned]:
        """Key -> when it was planned, for every key of the stage. A former name is one
        that had a key of the stage, or of its model, and that is in no plan now."""
        names = {self._name}
        names |= {f"{self._kind}:{old}/{self._rest}" for old in self._settings}
        model, _, an_eval = self._path.rpartition("/")
        own = self._present.get(f"model:{model}")
        if own and self._kind != "model":
            _, models = self._followed({f"model:{model}"}, own)
            paths = (one.partition(":")[2] for one in models)
            names |= {f"{self._kind}:{path}/{an_eval}" for path in paths}
        found, last = self._followed(names, key)
        self.was = {one: time for one, time in last.items() if one != self._name}
        return found

    def _followed(
        self, names: set[str], key: str
    ) -> tuple[dict[str, Planned], dict[str, str]]:
        """The keys of a stage under these names and others that had its keys; and each
        name, with the time of the last run that had it."""
        kind = next(iter(names)).partition(":")[0]
        wanted = {key}
        for _ in range(ROUNDS):
            keys: dict[str, Planned] = {}
            last: dict[str, str] = {}
            former: set[str] = set()
            for run in self._runs():
                if run.setting != self._setting and run.setting not in self._settings:
                    continue
                for stage, its_key in run.stages.items():
                    if stage in names:
                        _note(keys, its_key, stage, run)
                        last[stage] = run.time
                    elif its_key in wanted and stage.startswith(f"{kind}:"):
                        former.update({stage} - self._present.keys())
            if not former and wanted >= keys.keys():
                break
            wanted |= keys.keys()
            names |= former
        return keys, last


def _note(keys: dict[str, Planned], key: str, name: str, run: Run) -> None:
    if key in keys:
        keys[key].name, keys[key].last = name, run
    else:
        keys[key] = Planned(key, name, run, run)
