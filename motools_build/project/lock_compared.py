"""A lock compared with what is here: with the present inputs, and with artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from motools_build.errors import MotoolsError, one_line
from motools_build.planning.plan import Plan
from motools_build.project.past import under
from motools_build.project.project import Project

if TYPE_CHECKING:
    from motools_build.report.lock.lock import Lock
    from motools_build.report.results import Result

MOST = 3
"""Largest number of results that a sentence names."""


def of_other_inputs(project: Project, name: str, lock: Lock) -> Iterator[str]:
    """Sentences about locked results that are not those of the present inputs."""
    try:
        plan = planned_as(project, name, lock)
    except (MotoolsError, OSError) as error:
        said = one_line(str(error))
        yield f"not compared with the present inputs, which cannot be planned: {said}"
        return
    keys = {cell.stage.key for cell in plan.cells}
    names = {cell.stage.name for cell in plan.cells}
    every = {one.cell.stage.name: one.cell.stage.key for one in lock.results}
    other = [stage for stage, key in every.items() if key not in keys]
    edited = [stage for stage in other if stage in names]
    if edited:
        yield (
            f"of other inputs than the present ones: {len(edited)} of {len(every)} "
            f"locked results ({some(edited)})"
        )
    gone = [stage for stage in other if stage not in names]
    if gone:
        yield (
            f"not asked for by the setting as it is now: {len(gone)} of {len(every)} "
            f"locked results ({some(gone)})"
        )
    locked = set(every.values())
    fresh = names - every.keys()
    fresh -= {c.stage.name for c in plan.cells if c.stage.key in locked}
    if fresh:
        yield f"not locked: {len(fresh)} results of the setting as it is now"


def planned_as(project: Project, name: str, lock: Lock) -> Plan:
    """The present plan of a setting under the lock's variables. Raises InputError."""
    return under(project, lock.variables).plan(name)


def some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f", and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


def differing(project: Project, name: str, lock: Lock) -> list[str]:
    """What of a setting's lock is not as the artifacts here have it: a line for each
    result. Empty if they agree. Raises InputError if the setting cannot be planned."""
    from motools_build.report.lock.packed import scores_of
    from motools_build.report.results import results

    present = results(planned_as(project, name, lock), project.store)
    now_there = {one.cell.stage.name: one for one in present}
    names = {one.cell.stage.key: one.cell.stage.name for one in present}
    lines = []
    for was in {one.cell.stage.name: one for one in lock.results}.values():
        stage = was.cell.stage.name
        # a stage that is called otherwise now is the same by its key
        name = stage if stage in now_there else names.get(was.cell.stage.key, stage)
        one = now_there.pop(name, None)
        if one is None:
            lines.append(f"{stage}: locked, and not in the setting now")
        elif (was.cell.stage.key, was.status) != (one.cell.stage.key, one.status):
            lines.append(f"{stage}: {_told(was)} locked, {_told(one)} now")
        elif was.is_made and (
            _metrics(was) != _metrics(one) or scores_of(was) != scores_of(one)
        ):
            lines.append(f"{stage}: other scores than the locked ones, of the same key")
        elif was.lineage.model_id != one.lineage.model_id:
            lines.append(f"{stage}: asked another model than the locked one")
    return [*lines, *(f"{stage}: not locked" for stage in now_there)]


def _told(result: Result) -> str:
    return f"{result.status} {result.cell.stage.key[:8]}"


def _metrics(result: Result) -> Any:
    return result.record.details["scores"] if result.record else None
