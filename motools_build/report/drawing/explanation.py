"""Formats `doit why` for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from motools_build.report.drawing.changes import change_lines
from motools_build.report.explain import Explanation, flat, value_shown
from motools_build.report.lineage import model_of
from motools_build.report.past import shown_time
from motools_build.store.records import Record
from motools_build.text import hints


def lines(found: Explanation, every: bool = False) -> Iterator[str]:
    """The explanation of a stage, line by line; with `every`, uncut."""
    stage, record = found.stage, found.record
    yield f"{stage.name}\n{found.stale or 'up to date'}"
    if found.status.why and found.status.why not in (found.stale or ""):
        yield f"{found.status.word}: {found.status.why}"
    yield f"\nkey {stage.key}"
    for name, value in flat(stage.preimage).items():
        yield f"   {name:24} {value}"
    for file in stage.files:
        yield f"   file                     {file}"
    if record and record.made.get("snapshots") is False:
        yield "   its rows and code were not kept (snapshots=no)"
    for what in ("observed", "variables"):
        for name in record.details.get(what, ()) if record else ():
            yield f"   {what:24} {name}  (not in the key)"
    for name, used in found.upstream.items():
        yield f"\n{'made' if record else 'to be made'} from {name}"
        if record:
            yield f"   recorded output          {used.recorded}"
        absent = "gone" if record else "not made yet"
        yield f"   present output           {used.present or absent}"
    if record and (made := made_at(record)):
        yield f"\nmade {made}"
    for library in found.libraries:
        yield f"\nmade with another version: {library} (nothing re-runs)"
    if found.nearest:
        yield f"\nnearest artifact: {found.nearest.name}, key {found.nearest.key}"
        if made := made_at(found.nearest):
            yield f"   made {made}"
        for field, old, new in found.differences:
            yield f"   {field:24} {value_shown(old)} -> {value_shown(new)}"
            if field == "inputs.model" and (model := model_of(stage)):
                yield f"   {'':24} ({hints.command('why', model.name)})"
    elif not found.is_known:
        yield "\nwhat it was made of is not known: there is no record of it"
    elif found.stale:
        yield f"\nthere is no other {stage.kind} to compare with"

    again = "" if every else hints.command("why", stage.name, "--all")
    for change in found.changes:
        yield ""
        yield from change_lines(change, again)


def made_at(record: Record) -> str:
    """When a record was made, and at which commit; empty if neither is known."""
    made = record.made
    parts = [shown_time(str(made.get("time") or ""))]
    if made.get("commit"):
        differed = " (files differed from it)" if made.get("dirty") else ""
        parts.append(f"commit {str(made['commit'])[:7]}{differed}")
    return ", ".join(filter(None, parts))
