"""The numbers of a setting's results, as a lock tells them: by these it is read, and
what recomputes them is compared with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from motools_build.report.comparisons import comparisons
from motools_build.report.declared import Standing
from motools_build.report.estimates import Estimates
from motools_build.report.results import Result
from motools_build.report.table import table_of

NUMBERS = ("estimates", "means", "differences")
"""The fields of a lock that hold numbers which follow from its scores."""

TOLD = ("value", "low", "high", "difference", "p", "adjusted")
"""The fields that are such numbers."""


def numbers_of(found: Sequence[Result], standing: Standing) -> dict[str, Any]:
    """The numbers of a setting's results: of single models, means over seeds, and
    differences between groups."""
    estimates = Estimates(found)
    table = table_of("", found, estimates=estimates, standing=standing)
    singles = {
        (row.result.cell.stage.name, one.scorer, one.metric): {
            "stage": row.result.cell.stage.name,
            "scorer": one.scorer,
            "metric": one.metric,
            **one.estimate.as_json(),
        }
        for row in table.rows
        for one in row.metrics
    }
    differences = comparisons(found, estimates, standing)
    return {
        "estimates": [_short(one) for one in singles.values()],
        "means": [_short(one.as_json()) for one in table.means],
        "differences": [_short(one.as_json()) for one in differences],
    }


def _short(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty, and without what follows from the rest."""
    left = ("mean", "half")
    return {n: v for n, v in told.items() if n not in left and v not in (None, "")}


def differing(locked: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What of the locked numbers is not as the present ones, but for rounding: a line
    for each."""
    for kind in NUMBERS:
        was, present = _named(locked.get(kind, ())), _named(now[kind])
        for name in dict.fromkeys((*was, *present)):
            if name not in was or name not in present:
                which = "not locked" if name in present else "only locked"
                yield f"{' '.join(name)}: {which}"
                continue
            for field in TOLD:
                one, other = was[name].get(field), present[name].get(field)
                if not alike(one, other):
                    yield f"{' '.join(name)}: {field} {one} locked, {other} computed"


def _named(told: Sequence[Mapping[str, Any]]) -> dict[tuple[str, ...], Any]:
    names = ("stage", "arm", "dataset", "other_arm", "other_dataset")
    more = ("model", "training", "eval", "scorer", "metric")
    return {
        tuple(str(one[n]) for n in (*names, *more) if n in one): one for one in told
    }


def alike(one: Any, other: Any) -> bool:
    """Whether two values are equal, numbers but for rounding errors."""
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)
