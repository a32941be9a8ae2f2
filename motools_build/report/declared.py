"""Declarations: what a setting was going to measure, written down before it did.

`doit declare NAME` appends a declaration to `zoo/NAME.plan.json`, which is committed. A
result counts as declared if its key is in a declaration that was made before it. Keys
hold data, training, model, eval and seed, so that an edit of any of them makes another
result, which was not declared; and a renamed arm or dataset changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from motools_build.keys import canonical, digest_bytes
from motools_build.planning.plan import Cell, Plan
from motools_build.report.results import Result
from motools_build.specs.contrast import Contrast
from motools_build.text import hints

FORMAT = 1
"""The format number of a file of declarations."""

Word = Literal["primary", "planned", "exploratory", ""]
"""What is told of a result: `planned` if it was declared before it was made, `primary`
if it is of the declared primary contrast, too; else `exploratory`. Empty for a setting
that was never declared, and for a result that is not there."""

MOST = 3
"""Largest number of cells that a line names."""


@dataclass(frozen=True)
class Declaration:
    """What one `doit declare` wrote down."""

    declared: str
    """When, in UTC: `2026-11-29T06:30:00Z`."""
    primary: Contrast | None
    """The setting's primary contrast at that time."""
    matrix: Mapping[str, Any]
    """Arms, datasets, models, trainings, seeds and evals, for people to read."""
    cells: Mapping[str, str]
    """Name of each result's stage -> its key."""
    made: tuple[str, ...]
    """The names of `cells` whose results had been made already."""

    @classmethod
    def of(
        cls, time: str, plan: Plan, found: Sequence[Result], primary: Contrast | None
    ) -> Declaration:
        """The declaration of a plan, at a time in UTC. `found` are its results."""
        there = tuple(one.cell.stage.name for one in found if one.status == "ok")
        cells = {cell.stage.name: str(cell.stage.key) for cell in plan.cells}
        return cls(time, primary, _matrix(plan.cells), cells, there)

    def says_the_same_as(self, other: Declaration) -> bool:
        """Whether both declare the same results and the same primary contrast."""
        return (self.cells, self.primary) == (other.cells, other.primary)

    def as_json(self) -> dict[str, Any]:
        """The declaration as its file has it, with a digest of itself, by which an edit
        by hand is noticed."""
        body = {
            "declared": self.declared,
            "primary": self.primary.model_dump() if self.primary else None,
            "matrix": dict(self.matrix),
            "made": list(self.made),
            "cells": dict(self.cells),
        }
        return {**body, "digest": digest_bytes(canonical(body))}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Declaration:
        """Raises ValueError for a body that `as_json` did not write: one that lacks a
        field, or was edited."""
        try:
            primary = body["primary"]
            found = cls(
                body["declared"],
                None if primary is None else Contrast(**primary),
                body["matrix"],
                body["cells"],
                tuple(body["made"]),
            )
            is_whole = found.as_json() == dict(body)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it lacks or misspells a field ({error})") from error
        if not is_whole:
            raise ValueError("it was edited by hand: its digest is of another text")
        return found

    @cached_property
    def fresh(self) -> frozenset[str]:
        """The keys of the results that had not been made."""
        made = set(self.made)
        return frozenset(key for name, key in self.cells.items() if name not in made)

    def is_before(self, result: Result) -> bool:
        """Whether the result was declared here before it was made. One that is not made
        yet was, if it is declared at all."""
        if not result.keys & self.fresh:
            return False
        made = result.record.made.get("time", "") if result.record else ""
        return not result.is_made or str(made) >= self.declared

    def __str__(self) -> str:
        """`2026-11-29, before the first result; primary: ...`."""
        when = self.declared.replace("T", " ").replace("Z", " UTC")
        first = "before the first result"
        if self.made:
            first = f"after {len(self.made)} of {len(self.cells)} results were made"
        primary = f"; primary: {self.primary}" if self.primary else ""
        return f"{when}, {first}{primary}"


@dataclass(frozen=True)
class Standing:
    """What a setting was going to measure: its primary contrast, and how its results
    stand to its declarations."""

    primary: Contrast | None = None
    """The setting's primary contrast, as the setting has it now."""
    declarations: tuple[Declaration, ...] = ()
    """The oldest first."""
    problems: tuple[str, ...] = ()
    """What is wrong with declarations that do not count."""
    is_narrowed: bool = False
    """Whether variables limit the setting, so that declared results are left out."""

    @property
    def is_declared(self) -> bool:
        """Whether the setting was ever declared."""
        return bool(self.declarations or self.problems)

    def of(self, found: Sequence[Result], is_primary: bool = False) -> Word:
        """The word for what these results show together; `is_primary` if they are
        compared for the primary contrast."""
        if not self.is_declared or not found:
            return ""
        if is_primary:
            so = [one for one in self.declarations if one.primary == self.primary]
            if _all_before(so, found):
                return "primary"
        return "planned" if _all_before(self.declarations, found) else "exploratory"

    def told(self, setting: str, found: Sequence[Result]) -> Iterator[str]:
        """Lines about the declarations and the results `found`, which are all of the
        setting called `setting`."""
        yield from self.problems
        primary = self.primary
        if not self.declarations:
            if primary is not None and not self.problems:
                hint = hints.command("declare", setting)
                yield f"primary: {primary}; not declared ({hint})"
            return
        latest = self.declarations[-1]
        yield f"declared {latest}"
        if primary != latest.primary:
            now = f"the setting has now: {primary}" if primary else "it has none now"
            yield f"the primary contrast is not the declared one; {now}"
        made = [one for one in found if one.status == "ok"]
        late = [one for one in made if self.of([one]) == "exploratory"]
        if late:
            names = _some([one.cell.stage.name for one in late])
            yield (
                f"exploratory, not declared before they were made: {len(late)} of "
                f"{len(made)} results ({names})"
            )
        keys = {key for one in found for key in one.keys}
        gone = [name for name, key in latest.cells.items() if key not in keys]
        if gone and not self.is_narrowed:
            yield (
                f"declared, and not in the setting as it is now: {len(gone)} of "
                f"{len(latest.cells)} results ({_some(gone)})"
            )


NO_PLAN = Standing()
"""The standing of a setting without a primary contrast that was never declared."""


def _all_before(declarations: Sequence[Declaration], found: Sequence[Result]) -> bool:
    return all(any(one.is_before(result) for one in declarations) for result in found)


def _matrix(cells: Sequence[Cell]) -> dict[str, Any]:
    """The values of each part of the results' names, in the plan's order."""
    tuned = [cell for cell in cells if cell.seed is not None]
    parts: dict[str, list[Any]] = {
        "arms": [cell.arm for cell in tuned],
        "datasets": [cell.dataset for cell in tuned],
        "models": [cell.model for cell in cells],
        "trainings": [cell.training for cell in tuned],
        "seeds": [cell.seed for cell in tuned],
        "evals": [cell.eval for cell in cells],
    }
    found = {name: list(dict.fromkeys(values)) for name, values in parts.items()}
    return {name: values for name, values in found.items() if any(map(_is_set, values))}


def _is_set(value: Any) -> bool:
    return bool(value != "")


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
