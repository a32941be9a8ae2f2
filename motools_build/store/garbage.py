"""What `doit gc` removes: artifacts and snapshots that nothing refers to, and what
killed runs left."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.runs import DAY
from motools_build.store.snapshots import Snapshot
from motools_build.store.upkeep import (
    OnDisk,
    artifacts,
    broken_before,
    leftovers,
    remove,
)

STALE_COPY = 3600.0
"""Seconds without a write after which a copy is one of a run that was killed."""


@dataclass(frozen=True)
class Garbage:
    """What is removed, and what is left."""

    artifacts: list[OnDisk] = field(default_factory=list)
    used: list[OnDisk] = field(default_factory=list)
    """Artifacts that nothing refers to but a run under way."""
    snapshots: list[Snapshot] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)
    """Files and folders that killed runs left."""
    aside: list[Path] = field(default_factory=list)
    """Damaged artifacts and snapshots that were set aside long ago."""
    left: list[OnDisk] = field(default_factory=list)
    snapshots_left: list[Snapshot] = field(default_factory=list)
    sizes: dict[OnDisk, int] = field(default_factory=dict)
    """Bytes of each of the artifacts that are removed."""

    def __bool__(self) -> bool:
        """Whether there is something to remove."""
        return bool(self.artifacts or self.snapshots or self.leftovers or self.aside)

    @property
    def bytes_left(self) -> int:
        """Bytes of the artifacts that are left, by their records."""
        return sum(one.record.size for one in self.left if one.record)

    def as_json(self) -> dict[str, Any]:
        """What `doit gc --json` prints."""
        of_snapshots = sum(kept.bytes for kept in self.snapshots)
        return {
            "bytes": sum(self.sizes[one] for one in self.artifacts) + of_snapshots,
            "artifacts": [
                {"name": one.name, "key": one.key, "bytes": self.sizes[one]}
                for one in self.artifacts
            ],
            "snapshots": [
                {"digest": kept.digest, "bytes": kept.bytes} for kept in self.snapshots
            ],
            "in use": [one.name for one in self.used],
            "left": {
                "artifacts": self.bytes_left,
                "snapshots": sum(kept.bytes for kept in self.snapshots_left),
            },
        }


def to_remove(
    store: ArtifactStore, present: set[str], days: float, most: int | None
) -> Garbage:
    """What to remove. First, artifacts and snapshots that neither a present plan
    (`present` keys and digests), a run of the last `days` days, nor what is left refers
    to. Then, until at most `most` bytes are left, the oldest of those that no present
    plan refers to, snapshots before artifacts; None sets no limit."""
    lately = referred_lately(store, days)
    live = store.live.keys()
    found = Garbage(aside=broken_before(store, days))
    for one in artifacts(store):
        loose = one.key not in present and one.key not in lately
        (found.artifacts if loose else found.left).append(one)
    paid = paid_keys(store)
    needed = present | live | _logged(store, days, paid) | _inputs(found.left)
    for kept in store.snapshots:
        is_needed = kept.digest in needed
        (found.snapshots_left if is_needed else found.snapshots).append(kept)
    if most is not None:
        held = present | live | _logged(store, 0, paid)
        _shrink(found, present, held, most)
    found.leftovers.extend(leftovers(store, present | lately))
    found.leftovers.extend(store.snapshots.leftovers(time.time() - STALE_COPY))
    used = [one for one in found.artifacts if one.key in live]
    return _without(found, used)


def gone(found: Garbage, store: ArtifactStore) -> Garbage:
    """Remove what was found, except what a run uses by now. Returns what was
    removed."""
    paths = [(one.key, one.folder) for one in found.artifacts]
    paths += [(path.name, path) for path in (*found.leftovers, *found.aside)]
    outcome = remove(paths, store, found.snapshots)
    free = {path for path, is_removed in outcome if is_removed}
    used = [one for one in found.artifacts if one.folder not in free]
    return replace(
        _without(found, used),
        snapshots=[kept for kept in found.snapshots if kept.path in free],
        leftovers=[path for path in found.leftovers if path in free],
        aside=[path for path in found.aside if path in free],
        snapshots_left=[
            *found.snapshots_left,
            *(kept for kept in found.snapshots if kept.path not in free),
        ],
    )


def _without(found: Garbage, used: list[OnDisk]) -> Garbage:
    """The garbage, without artifacts that a run uses."""
    loose = [one for one in found.artifacts if one not in used]
    return replace(
        found,
        artifacts=loose,
        used=[*found.used, *used],
        left=[*found.left, *used],
        sizes={one: found.sizes.get(one) or one.size() for one in loose},
    )


def _shrink(found: Garbage, present: set[str], held: set[str], most: int) -> None:
    """Remove more of what is left, until it has at most `most` bytes. `held` are the
    digests of snapshots that stay, whatever becomes of artifacts."""
    size = {one: one.size() for one in found.left}
    total = sum(size.values()) + sum(kept.bytes for kept in found.snapshots_left)
    loose = sorted((f for f in found.left if f.key not in present), key=OnDisk.made)
    while total > most:
        needed = held | _inputs(found.left)
        idle = [kept for kept in found.snapshots_left if kept.digest not in needed]
        for kept in sorted(idle, key=lambda kept: kept.kept):
            if total > most:
                found.snapshots_left.remove(kept)
                found.snapshots.append(kept)
                total -= kept.bytes
        if total <= most or not loose:
            break
        oldest = loose.pop(0)
        found.left.remove(oldest)
        found.artifacts.append(oldest)
        total -= size[oldest]


def _inputs(left: Iterable[OnDisk]) -> set[str]:
    """The digests of the files that these artifacts were made from."""
    found: set[str] = set()
    for one in left:
        if one.record:
            found.update(one.record.preimage.get("inputs", {}).values())
    return found


def referred_lately(store: ArtifactStore, days: float) -> set[str]:
    """The keys of all stages in runs of the last `days` days."""
    since = time.time() - days * DAY
    keys: set[str] = set()
    for run in store.runs:
        if run.seconds >= since:
            keys.update(run.stages.values())
    return keys


def paid_keys(store: ArtifactStore) -> set[str]:
    """The keys of stages without an artifact for which a request was made, or is about
    to be: the next run needs the files that they were planned with."""
    found = set()
    for key in store.states.known():
        try:
            if store.states.paid(key) is not None:
                found.add(key)
        except ArtifactError:  # damaged or newer, and may tell of a job
            found.add(key)
    return found


def _logged(store: ArtifactStore, days: float, paid: set[str]) -> set[str]:
    """The digests of the files of runs of the last `days` days, of each setting's last
    run, and of those that planned a stage that is paid for."""
    since = time.time() - days * DAY
    found: set[str] = set()
    last: dict[str, set[str]] = {}
    for run in store.runs:
        last[run.setting] = set(run.files.values())
        if run.seconds >= since or not paid.isdisjoint(run.stages.values()):
            found |= last[run.setting]
    return found.union(*last.values())
