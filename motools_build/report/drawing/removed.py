"""Formats what `doit gc` removes for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from motools_build.store.garbage import Garbage
from motools_build.text.sizes import human


def removed(found: Garbage, is_done: bool) -> Iterator[str]:
    """What is removed, or would be, line by line; the last line is the sum."""
    verb = "removed" if is_done else "would remove"
    for one in found.artifacts:
        yield f"{verb} {one.name}  {one.key[:8]}  {human(found.sizes[one])}"
    for one in found.used:
        yield f"kept {one.name}: a run is using it"
    if found.leftovers:
        yield f"{verb} {len(found.leftovers)} leftovers of runs that were killed"
    if found.aside:
        yield f"{verb} {len(found.aside)} damaged artifacts that were set aside"
    if found.snapshots:
        size = human(sum(kept.bytes for kept in found.snapshots))
        yield f"{verb} {len(found.snapshots)} snapshots of rows and code, {size}"
    kept = human(sum(one.bytes for one in found.snapshots_left))
    yield (
        f"left: {len(found.left)} artifacts, {human(found.bytes_left)}; "
        f"{len(found.snapshots_left)} snapshots, {kept}"
    )
    size = human(sum(found.sizes[one] for one in found.artifacts))
    yield f"{verb} {len(found.artifacts)} artifacts, {size}"
