"""The earlier artifacts of a stage, and how its key differs from theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from motools_build.errors import InputError
from motools_build.project.project import Project
from motools_build.report.equivalence import Equivalence, Equivalences, nearest
from motools_build.stages import KINDS as EVERY_KIND
from motools_build.stages import Kind, Stage
from motools_build.store.records import Record
from motools_build.text import hints

KINDS: frozenset[Kind] = frozenset({"model", "samples", "eval"})
"""The kinds of stages that a person can accept by name."""

DIGITS = 8
"""Least number of digits that name a key."""

LATEST = 20
"""Number of a stage's earlier keys that a plan compares it with."""


class Earlier:
    """The earlier artifacts of a project's stages. Records are read on first use."""

    def __init__(self, project: Project) -> None:
        self._store = project.store
        self._compared = Equivalences(project.store, project.memo)
        self._by_name: dict[str, dict[str, list[Record]]] = {}

    def is_cosmetic(self, stage: Stage, accepted: Mapping[str, str]) -> bool:
        """Whether an artifact of an earlier run differs from the stage in comments and
        formatting alone. Looks only at what a run log names, so it is cheap."""
        for key in reversed(self._store.runs.keys_of(stage.name)[-LATEST:]):
            record = self._store.by_key(stage.kind, stage.backend, key)
            if record and self._compared.of(stage, record, accepted).is_cosmetic:
                return True
        return False

    def nearest(self, stage: Stage, accepted: Mapping[str, str]) -> Equivalence:
        """The artifact of the stage's name that differs least from it. Raises
        InputError if there is none."""
        logged = {*self._store.runs.keys_of(stage.name)}
        named = self._of_kind(stage.kind).get(stage.name, [])
        found: dict[str, Record] = {record.key: record for record in named}
        for key in logged - found.keys():
            record = self._store.by_key(stage.kind, stage.backend, key)
            found |= {key: record} if record else {}
        best = nearest(
            [
                self._compared.of(stage, record, accepted)
                for record in found.values()
                if record.backend == stage.backend and record.key != stage.key
            ]
        )
        if best is None:
            raise InputError(
                f"{stage.name} has no earlier artifact; a run makes it: "
                f"{hints.command('run', stage.name)}"
            )
        return best

    def named(
        self, stage: Stage, word: str, accepted: Mapping[str, str]
    ) -> Equivalence:
        """The artifact whose key, or that of a stage accepted as it, begins so.

        Raises InputError if there is none, or several; and for one that can never be
        the stage's: of another kind or backend, or made from another model.
        """
        if len(word) < DIGITS:
            raise InputError(f"--of {word}: give {DIGITS} or more digits of the key")
        keys = {one.of for one in self._store.accepted if one.key.startswith(word)}
        records = {
            record.key: record
            for kind in EVERY_KIND
            for prefix in (word, *keys)
            for record in self._store.records(kind, prefix)
        }
        if len(records) != 1:
            raise InputError(
                f"--of {word}: {len(records)} artifacts have a key that begins so; "
                f"{hints.command('why', stage.name)} names the nearest"
            )
        (record,) = records.values()
        if (record.kind, record.backend) != (stage.kind, stage.backend):
            raise InputError(
                f"{record.key[:8]} is of {record.name}, a {record.kind} of "
                f"{record.backend}, and {stage.name} is a {stage.kind} of "
                f"{stage.backend}: these are never equivalent"
            )
        found = self._compared.of(stage, record, accepted)
        above = self._above(stage, found)
        if above:
            raise InputError(above)
        return found

    def refusal(self, stage: Stage, found: Equivalence) -> str:
        """Why a stage cannot be accepted without naming the key, and what to type."""
        above = self._above(stage, found)
        if above:
            return above
        made = str(found.record.made.get("time", ""))[:10]
        insist = hints.command(
            *("accept", stage.name, "--of", found.record.key[:12], "--why", "...")
        )
        others = [one for one in found.differing if one.how != "cosmetic"]
        what = "more than comments and formatting differs"
        if all(one.how == "unkept" for one in others):
            what = "it cannot be told whether only comments differ"
        lines = [
            f"{stage.name}: {what} from its nearest artifact, "
            f"{found.record.key[:8]} of {made}:",
            *self._compared.told(found),
            f"if you hold the two equivalent nevertheless: {insist}",
        ]
        return "\n".join(lines)

    def said(self, stage: Stage, found: Equivalence) -> Iterator[str]:
        """What differs, for a person who has insisted."""
        key = found.record.key[:8]
        yield f"{stage.name} keeps the artifact {key}, though there differs:"
        yield from self._compared.told(found)

    def _above(self, stage: Stage, found: Equivalence) -> str | None:
        """The message if the stage is made from others than the artifact was."""
        differing = [one for one in found.differing if one.how == "upstream"]
        if not differing:
            return None
        made = {used.key: used for used in (*stage.upstream, *stage.setup)}
        stale = [
            made[one.new].name
            for one in differing
            if one.new in made and self._store.why_stale(made[one.new]) is not None
        ]
        if not stale:
            return (
                f"{stage.name}: the artifact {found.record.key[:8]} is of another "
                "model, and so never its own"
            )
        return (
            f"{stage.name} is made from {stale[0]}, and the artifact "
            f"{found.record.key[:8]} from one with another key; accept that "
            "one, and this goes along: "
            f"{hints.command('accept', stale[0], '--why', '...')}"
        )

    def _of_kind(self, kind: str) -> dict[str, list[Record]]:
        """Name of a stage -> the records that were made under that name."""
        if kind not in self._by_name:
            found: dict[str, list[Record]] = {}
            for record in self._store.records(kind):
                found.setdefault(record.name, []).append(record)
            self._by_name[kind] = found
        return self._by_name[kind]


def refusal(stage: Stage) -> str:
    """Why a stage of its kind is never accepted."""
    if stage.kind == "dataset":
        what = (
            "its rows are what models learn from, and are compared by their bytes: "
            "accept the model"
        )
    elif stage.kind == "upload":
        what = "sending a file again is free: accept the model that is trained on it"
    else:
        what = "a base model is its weights, and other weights give other results"
    return f"{stage.name} cannot be accepted: {what}"
