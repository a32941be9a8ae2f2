"""Facts from records of earlier evals of the same work: token usage, and digests of the
task that Inspect loaded."""

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
    """Facts from the records of one piece of work, over all models."""

    usage: dict[str, tuple[int, int]] | None = None
    """Model, as Inspect names it -> input and output tokens, from the record with the
    most tokens; None if no record has its usage."""
    resolved: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Part of the task (`samples`, `config`) -> its digest, and the name of the stage
    whose record has it."""

    def add(self, record: Record) -> None:
        usage = record.details.get("usage")
        if usage is not None and _size(usage) >= _size(self.usage or {}):
            self.usage = {model: (read, told) for model, (read, told) in usage.items()}
        for part, digest in record.details.get("resolved", {}).items():
            self.resolved.setdefault(part, (digest, record.name))


def _size(usage: Mapping[str, Sequence[int]]) -> int:
    return sum(map(sum, usage.values()))


class Alike:
    """Facts from earlier records of the same work: of evals, answers and sampled
    datasets. The records are read once per run, on first use."""

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
        """An identifier of the work: `work_of`, and for scores of recorded answers also
        `work_of` the answers. The latter is necessary because questions and epochs are
        in the keys of the answers alone."""
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
        """Model -> input and output tokens of the largest earlier record of the same
        work, whatever its model; None if there is none."""
        return self._told.get(self._work(stage.preimage, stage), Told()).usage

    def undeclared(self, stage: Stage, details: Mapping[str, Any]) -> dict[str, str]:
        """Part of the task that differs from an earlier record -> the stage of that
        record. As the keys say that the work is the same, the task must read something
        that is not declared."""
        told = self._told.get(self._work(stage.preimage, stage), Told()).resolved
        return {
            part: told[part][1]
            for part, digest in details.get("resolved", {}).items()
            if part in told and told[part][0] != digest
        }

    def add(self, record: Record) -> None:
        """Add a record that this run made."""
        self._told.setdefault(self._work(record.preimage), Told()).add(record)
