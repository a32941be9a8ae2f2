"""What differs between two sets of results: which inputs, and which results moved.

The sets are of two settings, two arms, two runs of one setting, or a lock and the
present. Groups of models are matched by their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from motools_build.report.cells import group_shown, named_parts
from motools_build.report.copies import joined
from motools_build.report.diff_inputs import UNKNOWN, Input, Inputs
from motools_build.report.differences import Difference, difference
from motools_build.report.estimates import Column, Estimate, Estimates, columns
from motools_build.report.means import Group, status_of_seeds, whole_seeds
from motools_build.report.results import Result

Verdict = Literal["same", "moved", "within", "apart", "overlap", "only", "none"]
"""same       both are of the same artifacts
moved      the 95 % interval of the difference excludes 0
within     it does not
apart      the eval asks or scores otherwise, and the two intervals have no value in
           common
overlap    it does, and they have
only       one of the two has no such eval or group
none       there is no interval to tell it by"""


class View(NamedTuple):
    """One of the two sets."""

    label: str
    results: Sequence[Result]


@dataclass(frozen=True)
class Moved:
    """A metric of a group of models, in the first set and in the second."""

    group: Group
    """As in the second set; as in the first, if the second has none."""
    column: Column
    first: Estimate
    second: Estimate
    verdict: Verdict
    found: Difference | None = None
    """The second less the first, paired by question; None unless both have an interval
    and are of the same questions."""
    lost: tuple[str, str] = ("", "")
    """Why models of each set have no number, such as `2 stale`; empty if all have."""

    def as_json(self) -> dict[str, Any]:
        arm, dataset, model, training = self.group
        an_eval, scorer, metric = self.column
        found = self.found
        return {
            **{"arm": arm, "dataset": dataset, "model": model, "training": training},
            **{"eval": an_eval, "scorer": scorer, "metric": metric},
            "first": self.first.as_json(),
            "second": self.second.as_json(),
            "lost": list(self.lost),
            "verdict": self.verdict,
            "difference": found.value if found else None,
            "low": found.low if found else None,
            "high": found.high if found else None,
        }


@dataclass(frozen=True)
class Diff:
    """What differs between two sets of results."""

    first: str
    second: str
    inputs: tuple[Input, ...]
    results: tuple[Moved, ...]
    alone: tuple[tuple[str, ...], tuple[str, ...]]
    """The names of the groups that only the first, and only the second, has."""

    def as_json(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "second": self.second,
            "inputs": [one._asdict() for one in self.inputs],
            "results": [one.as_json() for one in self.results],
            "only in first": list(self.alone[0]),
            "only in second": list(self.alone[1]),
        }


def diff(first: View, second: View) -> Diff:
    """What differs between two sets of results. An eval that was only renamed has its
    name in the second set."""
    of_both = Inputs(first.results, second.results)
    renamed = _renamed(first.results, second.results, of_both)
    a, b = _groups(renamed), _groups(second.results)
    pairs = _pairs(list(a), list(b))
    estimates = Estimates([*renamed, *second.results])
    inputs: dict[Input, None] = {}
    moved: list[Moved] = []
    for one, other in pairs:
        name = group_shown(other)
        inputs.update(dict.fromkeys(of_both.models_differ(name, a[one], b[other])))
        moved += _moved(other, a[one], b[other], estimates, of_both)
    evals = of_both.evals_differ(renamed, second.results)
    return Diff(
        first.label,
        second.label,
        (*inputs, *evals),
        tuple(moved),
        (
            tuple(group_shown(one) for one in a if one not in {p[0] for p in pairs}),
            tuple(group_shown(one) for one in b if one not in {p[1] for p in pairs}),
        ),
    )


def _renamed(
    first: Sequence[Result], second: Sequence[Result], of_both: Inputs
) -> list[Result]:
    """The results of the first set, those of evals that ask and score the same under
    another name in the second with that name."""
    a, b = of_both.evals_of(first), of_both.evals_of(second)
    names = {
        old: new
        for old, fields in a.items()
        for new, others in b.items()
        if old not in b and new not in a and fields == others and UNKNOWN not in fields
    }
    cells = ((one, names.get(one.cell.eval, one.cell.eval)) for one in first)
    return [replace(one, cell=one.cell._replace(eval=name)) for one, name in cells]


def _groups(found: Sequence[Result]) -> dict[Group, list[Result]]:
    """The results by group; those of a base model are a group of their own."""
    by_group: dict[Group, list[Result]] = {}
    for result in found:
        by_group.setdefault(named_parts(result.cell), []).append(result)
    return by_group


def _pairs(first: list[Group], second: list[Group]) -> list[tuple[Group, Group]]:
    """The groups that are compared: those of equal names; of the rest, those that are
    the only one of their arm and dataset on both sides, though the base model or the
    training is another; and if but one is left on each side, these two."""
    pairs = [(one, one) for one in first if one in set(second)]
    for count in (2, 1, 0):
        a = [one for one in first if one not in {pair[0] for pair in pairs}]
        b = [one for one in second if one not in {pair[1] for pair in pairs}]
        for one in a:
            alike = [[g for g in of if g[:count] == one[:count]] for of in (a, b)]
            if [len(of) for of in alike] == [1, 1]:
                pairs.append((one, alike[1][0]))
    return pairs


def _moved(
    group: Group,
    first: Sequence[Result],
    second: Sequence[Result],
    estimates: Estimates,
    inputs: Inputs,
) -> Iterator[Moved]:
    for column in columns([*first, *second]):
        of_both = [
            [result for result in found if result.cell.eval == column[0]]
            for found in (first, second)
        ]
        if column[1]:
            yield _of_column(group, column, of_both[0], of_both[1], estimates, inputs)


def _of_column(
    group: Group,
    column: Column,
    first: Sequence[Result],
    second: Sequence[Result],
    estimates: Estimates,
    inputs: Inputs,
) -> Moved:
    _, scorer, metric = column
    wholes = [[*whole_seeds(found, column)] for found in (first, second)]
    (a, side), (b, other) = (
        estimates.over(joined(whole), scorer, metric) if whole else (Estimate(), None)
        for whole in wholes
    )
    lost = [_lost(found, column) for found in (first, second)]
    found: Difference | None = None
    verdict: Verdict = "none"
    if not first or not second:
        verdict = "only"
    elif _keys(wholes[0]) == _keys(wholes[1]) and wholes[0]:
        verdict = "same"
    elif wholes[0] and wholes[1] and not _ask_the_same(wholes[0], wholes[1], inputs):
        verdict = _by_intervals(a, b)
    elif side is not None and other is not None:
        found = difference(other, side, estimates.scale(column))
        if found is not None:
            verdict = "within" if found.low <= 0 <= found.high else "moved"
    return Moved(group, column, a, b, verdict, found, (lost[0], lost[1]))


def _lost(found: Sequence[Result], column: Column) -> str:
    """Why models have no number, such as `2 stale`; empty if all have."""
    missing = status_of_seeds(found, column)[1]
    return ", ".join(f"{count} {status}" for status, count in missing.items())


def _keys(found: Sequence[Sequence[Result]]) -> set[str]:
    """The keys of the artifacts that the results are from."""
    return {
        result.accepted.of if result.accepted else result.cell.stage.key
        for seed in found
        for result in seed
    }


def _ask_the_same(
    first: Sequence[Sequence[Result]],
    second: Sequence[Sequence[Result]],
    inputs: Inputs,
) -> bool:
    """Whether both are known to be of the same questions and scorers. Those of another
    version of an eval may have the same names, and are not paired."""
    of_both = [
        {tuple(sorted(inputs.asked(r.cell.stage).items())) for of in found for r in of}
        for found in (first, second)
    ]
    return of_both[0] == of_both[1] and ((UNKNOWN, UNKNOWN),) not in of_both[0]


def _by_intervals(first: Estimate, second: Estimate) -> Verdict:
    bounds = (first.low, first.high, second.low, second.high)
    if None in bounds:
        return "none"
    low, high, other_low, other_high = (float(one) for one in bounds if one is not None)
    return "apart" if high < other_low or other_high < low else "overlap"
