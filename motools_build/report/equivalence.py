"""How a stage's key differs from that of an earlier artifact: in comments and
formatting of its source files alone, or in more."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from motools_build.keys import DigestMemo, digest_bytes
from motools_build.report.explain import differences, value_shown
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record
from motools_build.task_code.cosmetic import difference, only_formatting
from motools_build.task_code.shipped import place_of

How = Literal["cosmetic", "code", "unkept", "data", "rows", "upstream", "field"]

CODE = ("task", "scorer", "module")
"""The beginnings of the roles of source files that are run, in keys of evals."""

ROWS = {"dataset": "the rows it was trained on", "validation": "the held-out rows"}

SAID: Mapping[How, str] = {
    "cosmetic": "comments and formatting",
    "code": "the code differs",
    "unkept": "its earlier bytes are not kept, so they cannot be compared",
    "data": "the file is data, of which every byte counts",
    "rows": "other rows",
    "upstream": "another stage",
    "field": "",
}


@dataclass(frozen=True)
class Differing:
    """A field of the key that differs."""

    field: str
    """Such as `spec.epochs` or `inputs.task`."""
    old: Any
    new: Any
    """The values in the two keys; None if the field is absent."""
    how: How
    """`cosmetic`: a Python file that is the same program. `unkept`: a Python file whose
    earlier bytes are not there. `upstream`: the key of another stage."""
    path: str = ""
    """The file, if the field is that of a source file that the stage has now."""

    @property
    def name(self) -> str:
        """What differs, for people: a file's path, rows, or the field."""
        return self.path or ROWS.get(self.field.removeprefix("inputs."), self.field)


@dataclass(frozen=True)
class Equivalence:
    """An earlier artifact, and all in which a stage's key differs from its key."""

    record: Record
    differing: tuple[Differing, ...]

    @property
    def is_cosmetic(self) -> bool:
        """Whether nothing differs but comments and formatting of Python files."""
        return all(one.how == "cosmetic" for one in self.differing)

    @property
    def names(self) -> list[str]:
        """What differs, for people, each once."""
        return list(dict.fromkeys(one.name for one in self.differing))


class Equivalences:
    """Compares stages with earlier artifacts. What was found for a pair of files is
    remembered in the memo."""

    def __init__(self, store: ArtifactStore, memo: DigestMemo) -> None:
        self._store, self._memo = store, memo

    def of(
        self, stage: Stage, record: Record, accepted: Mapping[str, str]
    ) -> Equivalence:
        """How a stage differs from an artifact. `accepted` maps keys that are accepted
        to those of their artifacts: an input that is accepted does not differ."""
        preimage = substituted(stage.preimage, accepted)
        fields = differences(replace(stage, preimage=preimage), record)
        found = (self._differing(stage, *field) for field in fields)
        return Equivalence(record, tuple(found))

    def _differing(self, stage: Stage, field: str, old: Any, new: Any) -> Differing:
        section, _, role = field.partition(".")
        if section != "inputs" or old is None or new is None:
            return Differing(field, old, new, "field")
        if role in ROWS:
            return Differing(field, old, new, "rows")
        made = {used.key: used.name for used in (*stage.upstream, *stage.setup)}
        if role == "model" or role.startswith("samples:") or new in made:
            return Differing(field, old, new, "upstream")
        path = self._path(stage, new)
        if path is None:
            return Differing(field, old, new, "field")
        if not is_code(stage, role, path):
            return Differing(field, old, new, "data", path)
        return Differing(field, old, new, self._compared(path, old, new), path)

    def _compared(self, path: str, old: str, new: str) -> How:
        """How two versions of a Python file differ; remembered for these bytes."""
        note = f"same-code-1:{sys.version_info[1]}:{old}"
        same = self._memo.noted(note, new)
        if same is None:
            before, after = self._bytes(path, old, new)
            if before is None or after is None:
                return "unkept"
            same = only_formatting(before, after)
            self._memo.renote(note, new, same)
        return "cosmetic" if same else "code"

    def _path(self, stage: Stage, digest: str) -> str | None:
        """The stage's file with these bytes; None if it has none."""
        for path in stage.files:
            try:
                if self._memo.digest(place_of(path)) == digest:
                    return path
            except OSError:
                continue
        return None

    def _bytes(
        self, path: str, old: str, new: str
    ) -> tuple[bytes | None, bytes | None]:
        """The bytes of a file then and now; None if they are not kept, or if the file
        was edited since it was planned."""
        try:
            after: bytes | None = Path(place_of(path)).read_bytes()
        except OSError:
            after = None
        if after is not None and digest_bytes(after) != new:
            after = None
        return self._store.snapshots.read(old), after

    def told(self, found: Equivalence) -> Iterator[str]:
        """What differs, line by line, with the first lines of each file's difference
        where both versions are there."""
        for one in found.differing:
            if not one.path:
                said = f" ({SAID[one.how]})" if SAID[one.how] else ""
                old, new = value_shown(one.old), value_shown(one.new)
                yield f"   {one.field}{said}: {old} -> {new}"
                continue
            yield f"   {one.path}: {SAID[one.how]}"
            before, after = self._bytes(one.path, one.old, one.new)
            if one.how != "cosmetic" and before is not None and after is not None:
                for line in difference(one.path, before, after):
                    yield f"      {line}"


def is_code(stage: Stage, role: str, path: str) -> bool:
    """Whether a source file is Python that the stage runs. A file that an eval names is
    data, whatever its ending, since the eval may read its text; a command's scripts are
    named, and run."""
    if not path.endswith(".py"):
        return False
    if role.partition(":")[0] in CODE:
        return True
    return stage.kind == "model" and role.startswith("file:")


def substituted(
    preimage: Mapping[str, Any], accepted: Mapping[str, str]
) -> dict[str, Any]:
    """A preimage in which the keys of accepted stages are replaced by those of the
    artifacts that they have."""
    inputs: Mapping[str, str] = preimage["inputs"]
    replaced = {role: accepted.get(value, value) for role, value in inputs.items()}
    return {**preimage, "inputs": replaced}


def nearest(found: Sequence[Equivalence]) -> Equivalence | None:
    """Of earlier artifacts the one that differs least: in comments alone, then in the
    fewest fields, then the latest. None if there is none."""
    return min(
        found,
        key=lambda one: (
            not one.is_cosmetic,
            len(one.differing),
            [-ord(digit) for digit in str(one.record.made.get("time", ""))],
        ),
        default=None,
    )
