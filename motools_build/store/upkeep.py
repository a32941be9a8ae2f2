"""Maintenance of artifacts: finding, repairing and removing those that are damaged or
that nothing refers to."""

from __future__ import annotations

import stat
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from motools_build.errors import ArtifactError
from motools_build.keys import Digest, digest_file
from motools_build.stages import KINDS, RESUME
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.files import delete
from motools_build.store.folders import BROKEN
from motools_build.store.payload import RECORD, entries, local_file, unknown
from motools_build.store.records import Record
from motools_build.store.runs import seconds_of
from motools_build.store.shared.lazy import is_marked
from motools_build.store.snapshots import Snapshot
from motools_build.text import hints

TOGETHER = "together-"
"""Prefix of work folders that all evals of one Inspect call share."""

KEPT_TOGETHER = 7 * 86400
"""Seconds for which the logs of unfinished evals are kept."""


@dataclass(frozen=True, eq=False)
class OnDisk:
    """An artifact's folder, as it lies on the disk."""

    folder: Path
    record: Record | None
    """None if the record is missing or damaged."""

    @property
    def name(self) -> str:
        return self.record.name if self.record else self.folder.name

    @property
    def path(self) -> Path:
        return self.folder

    @property
    def key(self) -> str:
        return self.folder.name.rpartition("-")[2]

    def size(self) -> int:
        """The size of all its files, in bytes."""
        try:
            files = (path.lstat() for path in entries(self.folder))
            return sum(of.st_size for of in files if stat.S_ISREG(of.st_mode))
        except FileNotFoundError:  # a run is replacing the artifact
            return 0

    def made(self) -> float:
        """When it was made, in seconds since the epoch; for a damaged artifact, when
        its folder changed last."""
        said = self.record.made.get("time") if self.record else None
        if not said:
            with suppress(FileNotFoundError):
                return self.folder.stat().st_mtime
            return time.time()
        return seconds_of(said)


def artifacts(store: ArtifactStore) -> Iterator[OnDisk]:
    """The folders of all artifacts, damaged ones included."""
    for kind in KINDS:
        for folder in sorted((store.root / kind).glob("*-*")):
            try:
                path = folder / RECORD
                record = Record.decode(path.read_bytes(), str(path))
            except OSError:
                record = None
            yield OnDisk(folder, record)


def broken(found: OnDisk | Snapshot) -> str | None:
    """Read every byte of an artifact or a snapshot. Returns what is wrong with it, or
    None."""
    if isinstance(found, Snapshot):
        return _broken_snapshot(found)
    record = found.record
    if record is None:
        return "its record is missing or damaged"
    if found.folder.name != f"{record.backend}-{record.key}":
        return f"it lies in the folder of another key (its own is {record.key})"
    if not record.is_of_its_key():
        return "its preimage, what it says it was made of, is not that of its key"
    payload = {n: (found.folder / n, d) for n, (_, d) in record.payload.items()}
    if is_marked(str(found.folder)):  # the others lie in the shared store
        payload = {n: one for n, one in payload.items() if one[0].exists()}
    here = local_file(record) if record.local else None
    if here:  # an absent local file is no damage: the next run that needs it fetches it
        payload[here.name] = (here, Digest(record.output))
    for name, (path, digest) in payload.items():
        try:
            if digest_file(path) != digest:
                return f"{name} is damaged: its digest is not the recorded one"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    others = unknown(found.folder, record.payload)
    return f"{', '.join(others)} does not belong to it" if others else None


def _broken_snapshot(kept: Snapshot) -> str | None:
    if kept.path.is_symlink() or kept.path.is_dir():
        return "it is no file of its own, so its bytes cannot be kept there"
    try:
        if digest_file(kept.path) == kept.digest:
            return None
    except FileNotFoundError:  # gc has removed it just now
        return None
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return "it is damaged: its digest is not its name"


def accepted(store: ArtifactStore) -> tuple[dict[str, str], dict[str, str]]:
    """What is wrong with the file of acceptances, by its name; and stage -> words, of
    those whose artifact is not there any more, so that a run refuses the stage."""
    try:
        standing = [*store.accepted]
    except ArtifactError as error:
        return {store.accepted.file.name: str(error)}, {}
    return {}, {
        one.stage: f"the artifact {one.of[:8]} that it was accepted as is not there; "
        + hints.command("accept", "--revoke", one.stage)
        for one in standing
        if store.by_key(one.kind, one.backend, one.of) is None
    }


def repair(damaged: Iterable[OnDisk | Snapshot], store: ArtifactStore) -> Iterator[str]:
    """Move damaged artifacts and snapshots to artifacts/broken/, so that the next run
    makes or keeps them again; artifacts that a run uses or makes stay. Yields the
    outcome of each, in words that a caller prints after its path."""
    with store.live.removing():
        used = store.live.keys()
        for one in damaged:
            if not isinstance(one, OnDisk):
                yield f", now {store.set_aside(one.path) or 'removed'}"
                continue
            if one.key in used or not store.locks.take(one.key):
                yield ", in use: repair it when its run has ended"
                continue
            try:
                yield f", now {store.set_aside(one.folder)}"
            finally:
                store.locks.drop(one.key)


def remove(
    paths: Iterable[tuple[str, Path]],
    store: ArtifactStore,
    snapshots: Iterable[Snapshot] = (),
) -> Iterator[tuple[Path, bool]]:
    """Remove folders, each given with its key or name, except those that a run uses or
    makes; then snapshots, except those that a run uses, or has found or kept since they
    were listed. Yields each path, and whether it was removed."""
    with store.live.removing():
        store.live.sweep()
        used = store.live.keys()
        for key, path in paths:
            free = key not in used and store.locks.take(key)
            if free:
                try:
                    delete(path)
                finally:
                    store.locks.drop(key)
            yield path, free
        for kept in snapshots:
            free = kept.digest not in used and kept.is_unchanged()
            if free:
                kept.path.unlink(missing_ok=True)
            yield kept.path, free


def leftovers(store: ArtifactStore, wanted: Container[str]) -> list[Path]:
    """Work folders that killed runs left: those of stages that are not being made and
    have no state file. The folder of a failed stage may hold its log.

    A training of which something is saved is no leftover if its key is `wanted`: the
    next run goes on from there. Of the folders of jobs at a cluster, those are left
    over whose files became an artifact.
    """
    return store.jobs.leftovers(store.locks.taken) + sorted(
        path
        for path in (store.root / "work").glob("*")
        if not _kept_together(path)
        and not (path.name in wanted and (path / RESUME).is_dir())
        and not store.locks.taken(path.name)
        and not store.states.exists(path.name)
    )


def broken_before(store: ArtifactStore, days: float) -> list[Path]:
    """Damaged artifacts that were moved to artifacts/broken/ more than `days` ago."""
    before = time.time() - days * 86400
    folders = sorted((store.root / BROKEN).glob("*"))
    return [path for path in folders if path.lstat().st_mtime < before]


def _kept_together(path: Path) -> bool:
    """Whether a work folder holds recent logs of evals that share one Inspect call: a
    run may be writing them, or may continue from them after a kill."""
    if not path.name.startswith(TOGETHER):
        return False
    try:
        latest = max(p.stat().st_mtime for p in (path, *path.iterdir()))
    except FileNotFoundError:  # a run is changing the folder
        return True
    return time.time() - latest < KEPT_TOGETHER
