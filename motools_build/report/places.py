"""The names of a run's stages without their setting, and what was added, removed or
renamed from one run to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from motools_build.report.off_plan import TUNED
from motools_build.store.runs import Run


def by_place(run: Run) -> dict[str, str]:
    """Name without its setting, and without `smoke/` in a smoke run
    (`eval:base/echo/score`) -> key, of a run's stages."""
    found = {}
    for name, key in run.stages.items():
        kind, _, path = name.partition(":")
        place = path.partition("/")[2]
        if run.is_smoke:
            place = place.removeprefix("smoke/")
        found[f"{kind}:{place}"] = key
    return found


def groups(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """What was added, removed or renamed, in words."""
    was, now = _parts(before), _parts(after)
    renamed = _renamed(before, after)
    for what in now:
        new, old = now[what].keys() - was[what].keys(), was[what].keys() - now[what]
        for one in sorted(new):
            former = renamed.get((what, one))
            if former in old:
                yield f"{what} {former} is called {one} now"
                new, old = new - {one}, old - {former}
        for word, names in (("added", new), ("removed", old)):
            if names:
                listed = sorted(
                    names, key=lambda n: (len(n), n) if n.isdigit() else (0, n)
                )
                yield f"{what}{'s' * (len(names) > 1)} {', '.join(listed)} {word}"


PARTS = ("dataset", "model", "training", "seed", "replicate", "eval")


def _parts(places: Iterable[str]) -> dict[str, dict[str, None]]:
    """The datasets, models, trainings, seeds, replicates and evals of stages, by their
    names."""
    found: dict[str, dict[str, None]] = {what: {} for what in PARTS}
    for place in places:
        kind, _, path = place.partition(":")
        if kind != "eval":
            continue
        for what, value in parts_of(path).items():
            found[what][value] = None
    return found


def parts_of(path: str) -> dict[str, str]:
    """What a name of an eval without its setting says: `dataset`, `model`, ...; without
    parts that it has not. A base model has no dataset."""
    match = TUNED.fullmatch(path)
    if match:
        return {what: value for what, value in match.groupdict().items() if value}
    parts = path.split("/")
    if len(parts) == 3 and parts[0] == "base":
        return {"model": parts[1], "eval": parts[2]}
    return {"eval": parts[-1]}


def _renamed(
    before: Mapping[str, str], after: Mapping[str, str]
) -> dict[tuple[str, str], str]:
    """Part and name now -> the name that it had, where a key is under another name."""
    places = {key: place for place, key in before.items() if place not in after}
    found: dict[tuple[str, str], str] = {}
    for place, key in after.items():
        kind, _, path = place.partition(":")
        former = places.get(key)
        if place in before or former is None or kind not in ("model", "eval"):
            continue
        eval_too = "" if kind == "eval" else "/-"
        now = parts_of(f"{path}{eval_too}")
        was = parts_of(f"{former.partition(':')[2]}{eval_too}")
        for what, value in now.items():
            if was.get(what, value) != value:
                found[what, value] = was[what]
    return found
