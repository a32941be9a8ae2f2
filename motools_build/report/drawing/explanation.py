"""Formats `doit why` for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from motools_build.report.explain import Explanation, flat


def lines(found: Explanation) -> Iterator[str]:
    """The explanation of a stage, line by line."""
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
    for library in found.libraries:
        yield f"\nmade with another version: {library} (nothing re-runs)"
    if found.nearest:
        yield f"\nnearest artifact: {found.nearest.name}, key {found.nearest.key}"
        for field, old, new in found.differences:
            yield f"   {field:24} {_said(old)} -> {_said(new)}"
    elif found.stale:
        yield f"\nthere is no other {stage.kind} to compare with"


def _said(value: Any) -> str:
    return "(not there)" if value is None else str(value)
