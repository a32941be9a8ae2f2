"""What `doit gc --store` removes from a shared store, in two steps.

What nobody's present settings and recent runs refer to is marked. A later gc removes
what was marked at least `GRACE` days before, is still referred to by nobody, and was
not written since. Between the two, whoever was offline comes back, and a push that was
under way ends. Claims and ledgers are never removed. Times are those of the store.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from motools_build.keys import digest_bytes
from motools_build.store.locks import Locks
from motools_build.store.runs import DAY, RunLog
from motools_build.store.shared.objects import PROBES, Object, Objects
from motools_build.store.shared.parcels import JOBS
from motools_build.store.shared.sharing import WRITERS
from motools_build.store.shared.tier import PAYLOAD, RECORDS, in_threads

GRACE = 7.0
"""Days between a mark and the removal."""

MARKS = "gc/marks"

UNUSED = 30.0
"""Days after which nobody waits for the files of a job that travelled (`parcels.py`).
A job that is submitted puts its files anew long before."""


@dataclass(frozen=True)
class Swept:
    """What a gc of the store found."""

    marked: list[Object]
    """Objects that nobody refers to, and that a later gc may remove."""
    removable: list[Object]
    """Objects whose days of grace are over; removed, if that was asked for."""
    left: int
    """Number of the other records and files."""


def sweep(objects: Objects, referred: Iterable[str], days: float, yes: bool) -> Swept:
    """Mark, and remove what was marked before. `referred` are the keys that this
    folder's settings use; all writers' runs of the last `days` days are added.

    Raises StoreError, and removes nothing, if a run log or record cannot be read.
    """
    now = objects.now()
    keys = {*referred, *_of_runs(objects, now - days * DAY)}
    records = objects.list(RECORDS)
    read = in_threads(lambda one: objects.get(one.name), records)
    loose, kept_payloads = [], set()
    for one, data in zip(records, read, strict=True):
        key = one.name.split("/")[2].rpartition("-")[2]
        if key in keys or data is None:
            kept_payloads.add(str(digest_bytes(data or b"")))
        else:
            loose.append(one)
    payloads = objects.list(PAYLOAD)
    loose += [one for one in payloads if one.name.split("/")[1] not in kept_payloads]
    loose += objects.list(PROBES)
    loose += [o for o in objects.list(JOBS) if o.modified <= now - UNUSED * DAY]
    before = _marks(objects)
    ripe = [
        one
        for one in loose
        if one.modified <= before.get(one.name, now) <= now - GRACE * DAY
    ]
    names = {one.name for one in ripe}
    marked = [one for one in loose if one.name not in names]
    if yes:
        for each in (RECORDS, PAYLOAD, PROBES, JOBS):  # a record goes before its files
            of = [one for one in ripe if one.name.startswith(f"{each}/")]
            in_threads(lambda one: objects.delete(one.name), of)
        told = {
            one.name: before[one.name]
            if one.modified <= before.get(one.name, 0.0)
            else now
            for one in marked
        }
        objects.put(MARKS, json.dumps(told).encode())
    return Swept(marked, ripe, len(records) + len(payloads) - len(loose))


def _of_runs(objects: Objects, since: float) -> set[str]:
    """The keys of all writers' runs since that time, and of each setting's last."""
    found: set[str] = set()
    for one in objects.list(WRITERS):
        data = objects.get(one.name) if one.name.endswith("/runs.jsonl") else None
        if data is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "runs.jsonl"
            file.write_bytes(data)
            last: dict[str, set[str]] = {}
            for run in RunLog(file, Locks(Path(folder) / "lock")):
                last[run.setting] = set(run.stages.values())
                if run.seconds >= since:
                    found |= last[run.setting]
            found.update(*last.values())
    return found


def _marks(objects: Objects) -> dict[str, float]:
    """Name -> when it was marked first since it was written."""
    data = objects.get(MARKS)
    try:
        told = json.loads(data or b"{}")
        return {str(name): float(at) for name, at in told.items()}
    except (ValueError, AttributeError, TypeError):
        return {}  # all is marked anew
