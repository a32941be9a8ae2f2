"""The artifacts that runs under way use, so that `gc` and `clean` keep them.

A run writes the keys of its stages, inputs included, into a file of its own below
`artifacts/live/`, and holds a lock named like the file. A file whose lock no process
holds was left by a run that died.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from motools_build.stages import Stage
from motools_build.store.locks import Locks
from motools_build.store.records import check_format

GC = "gc"
"""Name of the lock that is held while artifacts are removed, or while a run begins."""


class Live:
    """The runs under way in a folder of artifacts."""

    def __init__(self, root: Path, locks: Locks) -> None:
        self._folder = root / "live"
        self._locks = locks

    @contextmanager
    def using(self, stages: Iterable[Stage]) -> Iterator[None]:
        """Protect these stages, and all that they are made from, from removal within
        the block. First waits for a removal that is under way."""
        name = uuid.uuid4().hex
        file = self._folder / f"{name}.json"
        self._locks.take(name)
        try:
            with self.removing():
                self.sweep()
                self._folder.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(sorted(_keys(stages))))
            yield
        finally:
            with suppress(OSError):
                file.unlink(missing_ok=True)
            self._locks.drop(name)

    def removing(self) -> AbstractContextManager[None]:
        """Within the block no run begins, and no other process removes artifacts. Waits
        until that is so."""
        return self._locks.held(GC)

    def keys(self) -> set[str]:
        """The keys that runs under way use. Raises NewerFormat if a run of a later
        version wrote its file in a newer format."""
        found: set[str] = set()
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
                with suppress(FileNotFoundError):
                    os.unlink(path)
                self._locks.drop(path.stem)


def _keys(stages: Iterable[Stage]) -> set[str]:
    found: set[str] = set()
    waiting = list(stages)
    while waiting:
        stage = waiting.pop()
        if stage.key not in found:
            found.add(stage.key)
            waiting += (*stage.setup, *stage.upstream)
    return found
