"""Recompute the numbers of a bundle from the scores of its answers.

    python recompute.py

It needs Python 3.11 or later with NumPy and SciPy. It reads `scores.csv`, groups the
answers by the cells of the lock, and computes each interval, mean and difference with
the modules of motools_build that computed them first, which lie beside it. It prints
them, and exits with 1 if one is not as the lock has it.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from motools_build.report.differences import difference, holm
from motools_build.report.estimates import Column, Estimate, Estimates
from motools_build.report.means import Group, groups, means, whole_seeds
from motools_build.report.scored import Place, Scored

NAMED = ("arm", "dataset", "model", "training", "seed", "replicate", "eval")

SCORES = "scores.csv"

TOLD = ("value", "low", "high", "scored", "asked", "seeds", "of", "distinct")
"""The numbers of an estimate or a mean."""

FROM_LOCK = "  (from the lock: it is no mean of scores, or of one question)"

OF_DIFFERENCES = ("difference", "low", "high", "p", "adjusted")

Of = Mapping[str, Any]


def scores_of(file: Path) -> dict[str, dict[Place, Scored]]:
    """Key of each eval -> place -> scores, from the file of all scores."""
    found: dict[str, dict[Place, Scored]] = {}
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            place = tuple(filter(None, (row["scorer"], row["part"])))
            of_key = found.setdefault(row["key"], {})
            scored = of_key.setdefault(place, Scored(int(row["asked"])))
            if row["score"]:
                scores = scored.answers.setdefault(row["question"], [])
                scores.append(float(row["score"]))
    return found


def results_of(lock: Of, scores: Mapping[str, dict[Place, Scored]]) -> list[Any]:
    """The results of a lock, as far as numbers are computed from them."""
    usual = {"arm": "", "training": "", "dataset": "", "model": "", "seed": None}
    found = []
    for told in lock["results"]:
        named = {**usual, **{name: told[name] for name in NAMED if name in told}}
        stage = SimpleNamespace(name=told["stage"], key=told["key"])
        record = None
        if "record" in told:
            record = SimpleNamespace(details=lock["records"][told["record"]]["details"])
        found.append(
            SimpleNamespace(
                cell=SimpleNamespace(stage=stage, **named),
                status=told["status"],
                record=record,
                is_made=record is not None and told["status"] == "ok",
                model=told.get("model_id", "") if told.get("model_key") else "",
                scores=scores.get(told.get("record", ""), {}),
                folder=None,
            )
        )
    return found


def singles(
    lock: Of, found: Sequence[Any], estimates: Estimates
) -> Iterator[tuple[str, Estimate, Of]]:
    """The name, the estimate and the locked numbers of each metric of each model."""
    by_stage = {one.cell.stage.name: one for one in found}
    for was in lock["estimates"]:
        one = by_stage[was["stage"]]
        estimate = estimates.of(one, was["scorer"], was["metric"])
        yield f"{was['stage']} {was['scorer']} {was['metric']}", estimate, was


def over_seeds(
    lock: Of, found: Sequence[Any], estimates: Estimates
) -> Iterator[tuple[str, Estimate, Of, Of]]:
    """The name, the estimate, the numbers and the locked ones of each mean."""
    locked = {_named(was): was for was in lock["means"]}
    for mean in means(found, estimates):
        told = mean.as_json()
        name = _named(told)
        yield name, mean.estimate, told, locked.pop(name, {})
    for name, was in locked.items():
        yield name, Estimate(), {}, was


def _named(told: Of) -> str:
    names = ("arm", "dataset", "model", "training", "eval", "scorer", "metric")
    return " ".join(str(told[name]) for name in names if told.get(name))


def differences(
    lock: Of, found: Sequence[Any], estimates: Estimates
) -> Iterator[tuple[str, Of, Of]]:
    """The name, the numbers and the locked ones of each difference."""
    every = lock["differences"]
    computed = [_difference(was, found, estimates) for was in every]
    for is_primary in (True, False):
        family = [i for i, was in enumerate(every) if was["primary"] == is_primary]
        levels = holm([computed[i].get("p", math.nan) for i in family])
        for index, level in zip(family, levels, strict=True):
            computed[index]["adjusted"] = level
    for was, now in zip(every, computed, strict=True):
        first, second = (
            "/".join(filter(None, (was.get(f"{w}arm"), was.get(f"{w}dataset"))))
            for w in ("", "other_")
        )
        metric = " ".join(was[n] for n in ("eval", "scorer", "metric") if was.get(n))
        yield f"{metric}: {first} less {second} ({was['model']})", now, was


def _difference(
    was: Of, found: Sequence[Any], estimates: Estimates
) -> dict[str, float]:
    column: Column = (was["eval"], was.get("scorer", ""), was["metric"])
    sides = []
    for which in ("", "other_"):
        arm, dataset = was.get(f"{which}arm", ""), was.get(f"{which}dataset", "")
        group = (arm, dataset, was["model"], was.get("training", ""))
        sides.append(estimates.side(_seeds(found, group, column), column))
    if sides[0] is None or sides[1] is None:
        return {}
    one = difference(sides[0], sides[1], estimates.scale(column))
    if one is None:
        return {}
    return {"difference": one.value, "low": one.low, "high": one.high, "p": one.p}


def _seeds(found: Sequence[Any], group: Group, column: Column) -> list[list[Any]]:
    """The results of each seed of a group; of the base model, if that is meant."""
    of_group = groups(found).get(group)
    if of_group is not None:
        return [*whole_seeds(of_group, column)]
    return [
        [one]
        for one in found
        if (one.cell.seed, one.cell.model, one.cell.eval) == (None, group[2], column[0])
    ]


def unlike(now: Of, was: Of, names: Sequence[str]) -> list[str]:
    """What of some numbers is not as it was, but for rounding errors."""
    return [
        f"{name} {now.get(name)}, locked {was.get(name)}"
        for name in names
        if not _alike(now.get(name), was.get(name))
    ]


def _alike(one: Any, other: Any) -> bool:
    numbers = [v for v in (one, other) if isinstance(v, float | int)]
    if len(numbers) == 2:
        return math.isclose(*numbers, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


class Line(NamedTuple):
    """What is told of a number."""

    text: str
    problems: Sequence[str]
    """What of it is not as locked."""
    is_computed: bool = True
    """Whether it follows from scores; if not, it is the lock's own."""


def recompute(folder: Path) -> Iterator[Line]:
    """A line for each number of the bundle in a folder."""
    (file,) = folder.glob("*.lock.json")
    lock = json.loads(file.read_bytes())
    found = results_of(lock, scores_of(folder / SCORES))
    estimates = Estimates(found)
    for name, estimate, was in singles(lock, found, estimates):
        wrong = unlike(estimate.as_json(), was, TOLD[:5])
        yield Line(f"{name}: {estimate}", wrong, estimate.low is not None)
    for name, estimate, now, was in over_seeds(lock, found, estimates):
        wrong, has_interval = unlike(now, was, TOLD), estimate.low is not None
        yield Line(f"mean over seeds: {name}: {estimate}", wrong, has_interval)
    for name, now, was in differences(lock, found, estimates):
        told = " ".join(f"{n} {now.get(n, math.nan):.4g}" for n in OF_DIFFERENCES)
        yield Line(f"difference: {name}: {told}", unlike(now, was, OF_DIFFERENCES))


def _visible(line: str) -> str:
    """The line without characters that steer a terminal."""
    return "".join(c if " " <= c <= "~" else ascii(c)[1:-1] for c in line)


def lacking(folder: Path) -> str:
    """What of the bundle that the numbers are computed from is not in the folder;
    empty if all is there."""
    count = len([*folder.glob("*.lock.json")])
    if count != 1:
        return "the lock, NAME.lock.json" if not count else "a single lock: it has more"
    return "" if (folder / SCORES).is_file() else f"{SCORES}, the score of every answer"


def main() -> int:
    """Print all numbers; 1 if one is not as the lock has it, or a file is missing."""
    folder = Path(__file__).parent
    missing = lacking(folder)
    if missing:
        print(f"{_visible(str(folder))} lacks {missing}: unpack the whole bundle")
        return 1
    lines = []
    for line in recompute(folder):
        lines.append(line)
        print(_visible(line.text) + ("" if line.is_computed else FROM_LOCK))
        for problem in line.problems:
            print(f"  NOT AS LOCKED: {_visible(problem)}")
    computed = sum(line.is_computed for line in lines)
    wrong = sum(bool(line.problems) for line in lines)
    print(f"{computed} of {len(lines)} computed from {SCORES}; {wrong} not as locked")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
