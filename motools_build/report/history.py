"""The runs of a setting over time: what changed, and how its results stood."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from motools_build.keys import digest_bytes
from motools_build.report.outcomes import values
from motools_build.report.past import at_json
from motools_build.report.places import by_place, parts_of
from motools_build.report.run_changes import RunChanges, RunDiffs
from motools_build.store.runs import Run

MOST_GROUPS = 4
"""Number of groups of results that a run shows, unless all are asked for."""

MOST_SEEDS = 20
"""Number of models of a group whose results are read for their mean."""


@dataclass(frozen=True)
class Standing:
    """How the results of a group of models stood in a run, and how they stand now."""

    group: str
    """The group and its eval: `first/echo meows`."""
    metric: str
    then: float | None
    """Mean over its models; None if no result remains."""
    now: float | None
    made: int
    """Number of results behind `then`."""
    of: int
    """Number of results that the run asked for."""

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Entry:
    """A run in a setting's history."""

    run: Run
    since: Run | None
    """The run that it is compared with: the one before with the same variables, or the
    one before; None for the first."""
    changes: RunChanges
    back_to: Run | None = None
    """The earlier run that it has all keys of, if it is not `since`."""
    results: tuple[Standing, ...] = ()
    left_out: int = 0
    """Number of groups whose results are not shown."""

    def as_json(self) -> dict[str, Any]:
        return {
            **at_json(self.run),
            "since": self.since.id if self.since else None,
            "back_to": self.back_to.id if self.back_to else None,
            "changes": self.changes.as_json(),
            "results": [one.as_json() for one in self.results],
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class History:
    """The runs of a setting, newest first."""

    setting: str
    entries: tuple[Entry, ...]
    earlier: int = 0
    """Number of runs before those."""
    now: RunChanges | None = None
    """What changed since the last run with the same variables, and was not run yet:
    nothing if an earlier run had all present keys. None if that is not known."""
    was: Mapping[str, str] = field(default_factory=dict)
    """Name that the setting had before -> until when, in UTC."""

    def as_json(self) -> dict[str, Any]:
        return {
            "setting": self.setting,
            "was": dict(self.was),
            "now": self.now.as_json() if self.now else None,
            "runs": [entry.as_json() for entry in self.entries],
            "earlier": self.earlier,
        }


def history(
    setting: str,
    runs: Iterable[Run],
    diffs: RunDiffs,
    present: Run | None,
    was: Mapping[str, str] | None = None,
    of_plans: Collection[str] = (),
    most: int = 10,
    every: bool = False,
) -> History:
    """The last `most` runs of a setting. `present` is what a run would stand for now,
    None if it cannot be planned; `was` is former name -> until when; `of_plans` are
    the names of variables that change a plan: a run is compared with the one before
    that had the same. With `every`, the results of all groups are read."""
    names = {setting, *(was or {})}
    found: deque[tuple[Run, Run | None, Run | None]] = deque(maxlen=max(most, 1))
    seen: dict[str, Run] = {}
    last: dict[str, Run] = {}
    before: Run | None = None
    count = 0
    for run in runs:
        if run.setting not in names:
            continue
        count += 1
        place, variables = _stands_for(run), _given(run, of_plans)
        since = last.get(variables, None if run.is_smoke else before)
        same = seen.get(place)
        is_news = same is not None and (since is None or _stands_for(since) != place)
        found.append((run, since, same if is_news else None))
        seen[place] = last[variables] = run
        before = before if run.is_smoke else run
    since_then = None
    if present and found:
        like = last.get(_given(present, of_plans), None if present.is_smoke else before)
        was_run = _stands_for(present) in seen
        since_then = (
            RunChanges() if was_run or not like else diffs.between(like, present)
        )
    entries = []
    for run, since, same in reversed(found):
        changes = diffs.between(since, run) if since else RunChanges()
        is_like = present and present.is_smoke == run.is_smoke
        now = by_place(present) if present and is_like else None
        standings = list(_standings(run, now, diffs, None if every else MOST_GROUPS))
        groups = len(_grouped(by_place(run)))
        left_out = groups - len(standings)
        entries.append(Entry(run, since, changes, same, tuple(standings), left_out))
    earlier = count - len(entries)
    return History(setting, tuple(entries), earlier, since_then, was or {})


def _given(run: Run, of_plans: Collection[str]) -> str:
    """The variables of a run that change a plan, as a text."""
    given = {n: value for n, value in run.variables.items() if n in of_plans}
    return json.dumps(given, sort_keys=True)


def _stands_for(run: Run) -> str:
    """A digest of all keys of a run under their names without the setting, and of
    whether it is a smoke run."""
    places = sorted(by_place(run).items())
    return digest_bytes(json.dumps([run.is_smoke, places]).encode())


def _grouped(places: Mapping[str, str]) -> dict[tuple[str, str], list[str]]:
    """Group of models and eval -> keys of its results."""
    found: dict[tuple[str, str], list[str]] = {}
    for place, key in places.items():
        kind, _, path = place.partition(":")
        if kind != "eval":
            continue
        parts = parts_of(path)
        told = [parts.get("dataset", "base"), parts.get("model", "")]
        told.append(parts.get("training", ""))
        name = "/".join(filter(None, told))
        found.setdefault((name, parts.get("eval", "")), []).append(key)
    return found


def _standings(
    run: Run, present: Mapping[str, str] | None, diffs: RunDiffs, most: int | None
) -> Iterator[Standing]:
    """How the groups stood in a run: of each eval the first metric. `present` are the
    present keys; None if they are not known, or not of such a run."""
    there = _grouped(present or {})
    groups = sorted(_grouped(by_place(run)).items(), key=_is_base)
    for (group, an_eval), keys in groups[:most]:
        metric, then = _mean(keys, diffs)
        ours = there.get((group, an_eval), [])
        _, now = (metric, then) if ours == keys else _mean(ours, diffs)
        yield Standing(
            f"{group} {an_eval}",
            metric,
            fmean(then) if then else None,
            fmean(now) if now else None,
            len(then),
            len(keys),
        )


def _is_base(of: tuple[tuple[str, str], list[str]]) -> bool:
    """Whether a group is a base model, which is told after the others."""
    (group, _), _ = of
    return group.startswith("base/")


def _mean(keys: Collection[str], diffs: RunDiffs) -> tuple[str, list[float]]:
    """The first metric of evals and its values, of those that remain."""
    name, found = "", []
    for key in list(keys)[:MOST_SEEDS]:
        record = diffs.record("eval", key)
        if record is None:
            continue
        for metric, value in metrics_of(record.details).items():
            name = name or metric
            if metric == name and isinstance(value, int | float):
                found.append(float(value))
    return name, found


def metrics_of(details: Mapping[str, Any]) -> dict[str, Any]:
    """`scorer metric` -> value, of an eval's record; counts are left out."""
    found = {}
    for scorer, metrics in details.get("scores", {}).items():
        counts = details.get("counts", {}).get(scorer, {}).get("outcomes", ())
        for name in values(metrics, told=counts):
            found[f"{scorer} {name}"] = metrics[name]
    return found


def former_names(
    setting: str, runs: Iterable[Run], keys: Collection[str], there: Collection[str]
) -> dict[str, str]:
    """Former name -> until when, of a setting that was renamed: a setting that is not
    among `there` any more, all of whose runs came before this one's, and that had a
    fine-tuned model's key of it. `keys` are the setting's present ones."""
    last: dict[str, Run] = {}
    first: dict[str, str] = {}
    tuned: dict[str, set[str]] = {setting: {*keys}}
    for run in runs:
        if run.is_smoke:
            continue
        first.setdefault(run.setting, run.time)
        last[run.setting] = run
        if run.setting == setting or run.setting not in there:
            tuned.setdefault(run.setting, set()).update(_tuned(run))
    found: dict[str, str] = {}
    waiting = [setting]
    while waiting:
        name = waiting.pop()
        begins = first.get(name)
        for other in tuned.keys() - {*found, setting}:
            until = last[other].time
            if (begins is None or until <= begins) and tuned[other] & tuned[name]:
                found[other] = until
                waiting.append(other)
    return dict(sorted(found.items(), key=lambda of: of[1], reverse=True))


def _tuned(run: Run) -> Iterator[str]:
    """The keys of a run's models and evals, except those of base models, which settings
    share that have nothing else in common; but these, if it has no others."""
    begin = f"eval:{run.setting}/base/"
    own = {
        name: key
        for name, key in run.stages.items()
        if name.startswith(("model:", "eval:"))
    }
    tuned = [key for name, key in own.items() if not name.startswith(begin)]
    yield from tuned or own.values()
