"""What the same work told before: its tokens, and what Inspect resolved it to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from motools_build.stages import ASKED, Stage, work_of
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record


@dataclass
class Told:
    """By the records of one piece of work, whichever models it is of."""

    usage: dict[str, tuple[int, int]] | None = None
    """By model, as Inspect names it: tokens read and written, of the record with the
    most; None where none tells."""
    resolved: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Part of the task (`samples`, `config`) -> its digest, and the stage of it."""

    def add(self, record: Record) -> None:
        usage = record.details.get("usage")
        if usage is not None and _size(usage) >= _size(self.usage or {}):
            self.usage = {model: (read, told) for model, (read, told) in usage.items()}
        for part, digest in record.details.get("resolved", {}).items():
            self.resolved.setdefault(part, (digest, record.name))


def _size(usage: Mapping[str, Sequence[int]]) -> int:
    return sum(map(sum, usage.values()))


class Alike:
    """The records of evals and samples, read once a run, when first asked about."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    @cached_property
    def _told(self) -> dict[str, Told]:
        told: dict[str, Told] = {}
        for kind in (*sorted(ASKED), "dataset"):
            for record in self._store.records(kind):
                if record.backend != "inspect":
                    continue
                told.setdefault(self._work(record.preimage), Told()).add(record)
        return told

    def _work(self, preimage: Mapping[str, Any], stage: Stage | None = None) -> str:
        """What the same work has in common. Scores of answers that are artifacts are
        the same only if those are answers to the same questions, as many of them: what
        is in the keys of the answers is not in theirs."""
        made = {used.key: used.preimage for used in stage.upstream} if stage else {}
        answers = []
        for role, key in sorted(preimage["inputs"].items()):
            if role.startswith("samples:"):
                found = made.get(key) or self._preimage("samples", key)
                answers.append((role, work_of(found) if found else key))
        return repr((work_of(preimage), answers))

    def _preimage(self, kind: str, key: str) -> Mapping[str, Any] | None:
        record = self._store.by_key(kind, "inspect", key)
        return record.preimage if record else None

    def usage(self, stage: Stage) -> dict[str, tuple[int, int]] | None:
        """The most that the same work, of whichever model, has read and written; None
        where none was done."""
        return self._told.get(self._work(stage.preimage, stage), Told()).usage

    def undeclared(self, stage: Stage, details: Mapping[str, Any]) -> dict[str, str]:
        """Part of the task -> a stage that had another one, though nothing that is in
        the keys differs: the task reads something that nobody declared."""
        told = self._told.get(self._work(stage.preimage, stage), Told()).resolved
        return {
            part: told[part][1]
            for part, digest in details.get("resolved", {}).items()
            if part in told and told[part][0] != digest
        }

    def add(self, record: Record) -> None:
        """Another record, made in this run."""
        self._told.setdefault(self._work(record.preimage), Told()).add(record)
