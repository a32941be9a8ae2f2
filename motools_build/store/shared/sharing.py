"""Pushing what a folder makes, and what waits to be pushed.

An empty file below `artifacts/unpushed/` tells of an artifact that the store has not
got yet. It is made before the artifact, and removed when the store has it, so that
neither a death nor a day without a network forgets one.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from motools_build.errors import ArtifactError, StoreError, StoreUnreachable
from motools_build.keys import digest_bytes
from motools_build.stages import Stage
from motools_build.store.records import Record
from motools_build.store.shared.tier import KINDS, Outcome, Tier, in_threads

LOGGER = logging.getLogger("motools_build")

WRITERS = "writers"
"""Folder of the store with the ledger and the run log of each folder of artifacts."""


@dataclass
class Sharing:
    """What one command pushes and pulls."""

    tier: Tier
    pulled: int = 0
    """Number of artifacts that came from the store."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """Name of each artifact that was offered to the store -> what became of it."""
    problems: dict[str, str] = field(default_factory=dict)
    """Name of each artifact that waits -> why."""
    damaged: list[str] = field(default_factory=list)
    """Why artifacts of the store could not be pulled, a sentence each."""
    _offline: StoreError | None = None

    @property
    def queue(self) -> Path:
        return self.tier.store.root / "unpushed"

    def waiting(self) -> list[Record]:
        """The records of the artifacts that wait to be pushed."""
        found = []
        for path in sorted(self.queue.glob("*/*")):
            backend, _, key = path.name.rpartition("-")
            record = self.tier.store.by_key(path.parent.name, backend, key)
            if record is None:  # it was never made, or is removed
                path.unlink(missing_ok=True)
            else:
                found.append(record)
        return found

    def begin(self, stage: Stage) -> None:
        """Note that the stage's artifact is to be pushed, before it is made."""
        if stage.kind in KINDS:
            mark = self.queue / stage.folder
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()

    def end(self, stage: Stage, *, takes: bool = True) -> None:
        """Push the stage's artifact, which was just made; the caller holds the stage's
        lock. If that fails, it waits for the next run: what was made counts."""
        record = self.tier.store.get(stage)
        if stage.kind in KINDS and record is not None:
            self.offer(record, takes=takes)
            self.tier.store.forget(stage)

    def offer(self, record: Record, *, takes: bool = True, again: bool = False) -> None:
        """Push an artifact and take its mark away, or note why it waits."""
        try:
            if self._offline:
                raise self._offline
            outcome = self.tier.push(record, takes=takes, again=again)
        except (StoreError, ArtifactError, OSError) as error:
            if isinstance(error, StoreUnreachable):
                self._offline = error  # it is not asked again for each artifact
            self.problems[record.name] = str(error)
            LOGGER.info("not pushed %s: %s", record.name, error)  # `told` says it
            return
        self.problems.pop(record.name, None)
        self.outcomes[record.name] = outcome
        mark = self.queue / record.kind / f"{record.backend}-{record.key}"
        mark.unlink(missing_ok=True)

    def push(
        self, records: Iterable[Record], *, takes: bool = True, again: bool = False
    ) -> None:
        """Offer artifacts to the store, in the order of `KINDS`, since an eval must not
        come before its model; those that a run is making wait."""
        every = list(records)
        for kind in KINDS:
            of_kind = [record for record in every if record.kind == kind]
            in_threads(lambda one: self._alone(one, takes, again), of_kind)

    def _alone(self, record: Record, takes: bool, again: bool) -> None:
        locks = self.tier.store.locks
        if not locks.take(record.key):
            self.problems[record.name] = "a run is making it; push again when it ends"
            return
        try:
            self.offer(record, takes=takes, again=again)
        finally:
            locks.drop(record.key)

    def pull(self, stages: list[Stage]) -> None:
        """Push what waits, then install what the store has of stages that are not here.
        If the store does not answer, what is missing is made."""
        try:
            self.push(self.waiting())
            if self._offline:
                raise self._offline
            pulled, self.damaged = self.tier.pull(stages)
            self.pulled += len(pulled)
        except StoreError as error:
            if isinstance(error, StoreUnreachable):
                self._offline = error
            self.damaged = [str(error)]

    def close(self) -> None:
        """Put the ledger and the run log of this folder into the store, each an object
        of its own, if anything was pushed or pulled."""
        if self._offline or not (self.outcomes or self.pulled):
            return
        root = self.tier.store.root
        for name in ("ledger.jsonl", "runs.jsonl"):
            try:
                if (root / name).exists():
                    place = f"{WRITERS}/{writer(root)}/{name}"
                    self.tier.objects.put(place, (root / name).read_bytes())
            except StoreError as error:
                LOGGER.info("not pushed %s: %s", name, error)

    def began(self) -> Iterator[str]:
        """What a user should know before anything is made. What was pulled is noted in
        the store, by this folder's run log, so that nobody's gc removes it there."""
        if self.pulled:
            self.close()
            yield f"{self.pulled} up to date from the store {self.tier.objects.address}"
        for why in self.damaged:
            yield f"{why} (what is missing is made here)"

    def told(self) -> Iterator[str]:
        """What a user should know at the end, a line each."""
        by = dict[str, list[str]]()
        for name, outcome in self.outcomes.items():
            by.setdefault(outcome, []).append(name)
        address = self.tier.objects.address
        if "taken" in by:
            yield (
                f"{_many(by['taken'])}: a colleague's came first, and is the one here "
                f"now ({address})"
            )
        if "other" in by:
            yield (
                f"{_many(by['other'])}: {address} has another, made from other inputs "
                "or earlier; both were kept as they are"
            )
        if self.problems:
            why = next(iter(self.problems.values()))
            yield f"not pushed yet: {_many(list(self.problems))} ({why}); doit push"


def writer(root: Path) -> str:
    """A name for a folder of artifacts on a machine."""
    place = f"{os.path.realpath(root)}\n{os.stat(root).st_ino}"
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())
    return f"{host}-{digest_bytes(place.encode('utf-8', 'backslashreplace'))[:12]}"


def _many(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
