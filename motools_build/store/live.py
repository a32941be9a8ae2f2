"""The runs under way: the artifacts that they use, and how far they have come.

A run writes the keys of its stages, inputs included, into a file of its own below
`artifacts/live/`, so that `gc` and `clean` keep them, and holds a lock named like the
file. A file whose lock no process holds was left by a run that died. Beside it lies the
run's progress, for other processes to show.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from motools_build.stages import Stage, with_needed
from motools_build.store.job_folders import JobFolders
from motools_build.store.locks import Locks
from motools_build.store.records import check_format

if TYPE_CHECKING:
    from motools_build.store.progress import Snapshot, UnderWay

GC = "gc"
"""Name of the lock that is held while artifacts are removed, or while a run begins."""

PROGRESS = ".progress"
"""End of the name of a run's progress, beside its keys in a `.json` file."""


LAST = "last-run.json"
"""Name of the file, beside `live/`, with the end of the latest run that made
something."""


class OwnProgress:
    """The file in which this process's run tells how far it is."""

    def __init__(self, path: Path, last: Path) -> None:
        """`last` is the file that tells how the run ended."""
        self._path, self._last = path, last

    def tell(self, snapshot: Snapshot) -> None:
        """Replace what was told before, atomically. It need not survive a crash of the
        machine, so nothing is synced. Raises OSError."""
        self._replace(self._path, snapshot)

    def tell_end(self, snapshot: Snapshot) -> None:
        """Tell how the run ended, in place of what an earlier run told. Raises
        OSError."""
        self._replace(self._last, snapshot)

    def _replace(self, path: Path, snapshot: Snapshot) -> None:
        temporary = self._path.with_suffix(".tmp")
        temporary.write_bytes(snapshot.to_json())
        temporary.replace(path)


class Live:
    """The runs under way in a folder of artifacts."""

    def __init__(self, root: Path, locks: Locks) -> None:
        self._folder = root / "live"
        self._last = root / LAST
        self._locks = locks
        self._jobs = JobFolders(root)

    @contextmanager
    def using(
        self,
        stages: Iterable[Stage],
        keys_of: Callable[[Stage], Iterable[str]] = lambda stage: (stage.key,),
    ) -> Iterator[OwnProgress]:
        """Protect these stages, and all that they are made from, from removal within
        the block. First waits for a removal that is under way. Gives the place where
        the run may tell its progress. `keys_of` returns the keys under which a stage's
        artifact may be."""
        name = uuid.uuid4().hex
        file = self._folder / f"{name}.json"
        self._locks.take(name)
        try:
            with self.removing():
                self.sweep()
                self._folder.mkdir(parents=True, exist_ok=True)
                keys = {
                    key
                    for one in with_needed(stages)
                    for key in (*one.uses, *keys_of(one))
                }
                file.write_text(json.dumps(sorted(keys)))
            yield OwnProgress(file.with_suffix(PROGRESS), self._last)
        finally:
            with suppress(OSError):
                _remove(file)
            self._locks.drop(name)

    def runs_under_way(self) -> tuple[UnderWay, ...]:
        """The runs that have begun and not ended, the oldest first; those that have
        told nothing come last. Only reads, so it needs no write access."""
        from motools_build.store.progress import Snapshot, UnderWay

        found = []
        for path in self._folder.glob("*.json"):
            alive = self._locks.taken(path.stem)
            try:
                snapshot = Snapshot.from_json(path.with_suffix(PROGRESS).read_bytes())
            except OSError:
                snapshot = None
            if path.exists():  # or its run ended just now
                found.append(UnderWay(path.stem, alive, snapshot))
        return tuple(sorted(found, key=_oldest_first))

    def last_run(self) -> Snapshot | None:
        """How the latest run that made something ended, of those that were not killed;
        None if none is known. Only reads."""
        from motools_build.store.progress import Snapshot

        try:
            return Snapshot.from_json(self._last.read_bytes())
        except OSError:
            return None

    def removing(self) -> AbstractContextManager[None]:
        """Within the block no run begins, and no other process removes artifacts. Waits
        until that is so."""
        return self._locks.held(GC)

    def keys(self) -> set[str]:
        """The keys that runs under way and jobs at a cluster use, and the digests of
        the runs' files. Raises NewerFormat if a run of a later version wrote its file
        in a newer format."""
        found = self._jobs.keys()
        for path in self._folder.glob("*.json"):
            if self._locks.taken(path.stem):
                with suppress(FileNotFoundError):  # its run ended just now
                    told = json.loads(path.read_bytes())
                    if isinstance(told, dict):  # the first format is a bare list
                        check_format(told, str(path))
                        told = told.get("keys", [])
                    found.update(told)
        return found

    def sweep(self) -> None:
        """Remove the files of runs that died."""
        for path in self._folder.glob("*.json"):
            if self._locks.take(path.stem):
                with suppress(OSError):
                    _remove(path)
                self._locks.drop(path.stem)


def _remove(file: Path) -> None:
    """Remove a run's files, that with its keys last, since the others are found by
    it. Raises OSError."""
    for name in (file.with_suffix(".tmp"), file.with_suffix(PROGRESS), file):
        name.unlink(missing_ok=True)


def _oldest_first(run: UnderWay) -> tuple[float, str]:
    return (run.snapshot.started if run.snapshot else math.inf), run.id
