"""The explanation of a stage: what its key is made of, and what differs from existing
artifacts. The data of `doit why`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from motools_build.report.contents import Contents
from motools_build.report.file_changes import FileChange, changed_files, observed_files
from motools_build.report.off_plan import NOTHING, backends_of
from motools_build.report.status import Status
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record

MOST_READ = 200
"""Largest number of records that are read to find the nearest one."""

MOST_ROWS = 5
"""Number of rows of each dataset that are shown, unless all are asked for."""

Difference = tuple[str, Any, Any]
"""Field, its value in the other artifact, and its value in the stage. None means that
the field is absent."""


@dataclass(frozen=True)
class Used:
    """An upstream stage's output: as recorded, and as it is now."""

    recorded: str | None
    """The output from which the explained artifact was made; None if that artifact does
    not exist, or does not name it."""
    present: str | None
    """The output that exists now; None if there is none."""


@dataclass(frozen=True)
class Explanation:
    """What is known of a stage's key and artifact."""

    status: Status
    stale: str | None
    """Why the stage must be made or is superseded; None if it is up to date."""
    record: Record | None
    """The record of the artifact under the stage's key; None if there is none."""
    nearest: Record | None
    """For a stale stage, the artifact whose key differs in the fewest fields; None if
    the stage is up to date, no other artifact of its kind exists, or it is not known
    what the key is made of."""
    differences: tuple[Difference, ...]
    """The fields in which the nearest artifact's key differs."""
    upstream: Mapping[str, Used]
    """Name of each upstream stage -> its output."""
    libraries: tuple[str, ...]
    """Libraries whose version has changed since the artifact was made, for information:
    a version is in no key, so nothing re-runs."""
    changes: tuple[FileChange, ...] = ()
    """The files that differ from what the nearest artifact, or this one, was made of:
    their rows or lines."""
    is_known: bool = True
    """Whether it is known what the key is made of. It is not for a stage of the past
    that has no record: it is compared with nothing."""

    @property
    def stage(self) -> Stage:
        return self.status.stage

    def as_json(self) -> dict[str, Any]:
        """What `doit why --json` prints."""
        details = self.record.details if self.record else {}
        near = self.nearest
        return {
            "stage": self.stage.name,
            "key": self.stage.key,
            "preimage": self.stage.preimage if self.is_known else None,
            "files": self.stage.files,
            "observed": dict(details.get("observed", {})),
            "variables": details.get("variables", []),
            "status": self.status.word,
            "note": self.status.why,
            "stale": self.stale,
            "made": _made(self.record) if self.record else None,
            "nearest": {"name": near.name, "key": near.key, "made": _made(near)}
            if near
            else None,
            "differences": list(self.differences),
            "upstream": {name: vars(used) for name, used in self.upstream.items()},
            "other libraries": list(self.libraries),
            "changes": [one.as_json() for one in self.changes],
        }


def _made(record: Record) -> dict[str, Any]:
    """When an artifact was made, and at which commit."""
    return {name: record.made.get(name) for name in ("time", "commit", "dirty")}


def explanation(
    status: Status,
    store: ArtifactStore,
    versions: Mapping[str, str],
    superseded: str | None = None,
    contents: Contents | None = None,
    most: int | None = MOST_ROWS,
) -> Explanation:
    """The explanation of a stage with this status. `versions` is installed library ->
    version. `superseded` is, for a stage that no present plan has, the sentence that
    says what replaced it. `contents` finds the bytes of files that differ, of whose
    rows `most` are shown; without it, files are compared by their digests alone."""
    stage = status.stage
    record = store.get(stage)
    stale = superseded or store.why_stale(stage)
    is_known = stage.preimage != NOTHING
    near = nearest(stage, store) if stale and is_known else None
    differ = tuple(differences(stage, near)) if near else ()
    changes: list[FileChange] = []
    if contents and near:
        names = {one: f for f in stage.files if (one := contents.present(f))}
        changes += changed_files(near, differ, contents, names, most)
    if contents and stale and record:
        changes += observed_files(record, contents, most)
    upstream = {}
    for used in stage.upstream:
        found = store.get(used)
        recorded = record.inputs if record else {}
        of = [recorded[key] for key in store.keys_of(used) if key in recorded]
        upstream[used.name] = Used(
            of[0] if of else None,
            found.output if found else None,
        )
    return Explanation(
        status,
        stale,
        record,
        near,
        differ,
        upstream,
        tuple(older_versions(record, versions)) if record else (),
        tuple(changes),
        is_known,
    )


def flat(preimage: Mapping[str, Any]) -> dict[str, Any]:
    """A preimage with nested fields joined by dots: `spec.epochs` -> 3,
    `inputs.dataset` -> digest."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                yield from walk(inner, f"{path}.{name}" if path else name)
        else:
            yield path, value

    return dict(walk(preimage, ""))


def differences(stage: Stage, record: Record) -> list[Difference]:
    """The fields in which the stage's preimage differs from a record's, sorted."""
    return differing(record.preimage, stage.preimage)


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """The fields in which two preimages differ, sorted."""
    old, new = flat(before), flat(now)
    return [
        (name, old.get(name), new.get(name))
        for name in sorted({*new, *old})
        if old.get(name) != new.get(name)
    ]


def value_shown(value: Any) -> str:
    """A value of a `Difference`, for people."""
    return "(not there)" if value is None else str(value)


def nearest(stage: Stage, store: ArtifactStore) -> Record | None:
    """The other artifact of the stage's kind that differs in the fewest fields; among
    equals, the one that the stage had last by the run log, then one that was made under
    its name, then the latest. None if there is none.

    Where there are more than `MOST_READ` artifacts, only the latest that the stage had
    under its name are read; and if there are none, the latest of the kind."""
    had = [key for key in store.runs.keys_of(stage.name) if key != stage.key]
    return min(
        _others(stage, had, store),
        key=lambda record: (
            len(differences(stage, record)),
            record.key not in had[-1:],
            record.name != stage.name,
            [-ord(digit) for digit in record.made.get("time", "")],
        ),
        default=None,
    )


def _others(stage: Stage, had: Sequence[str], store: ArtifactStore) -> list[Record]:
    """The records to compare with a stage's preimage; `had` are the keys that it had,
    the latest last."""
    there = backends_of(store, stage.kind)
    there.pop(stage.key, None)
    if len(there) > MOST_READ:
        own = [key for key in had if key in there][-MOST_READ:]
        there = {key: there[key] for key in own or _latest(stage, store, there)}
    found = (store.by_key(stage.kind, b, key) for key, b in sorted(there.items()))
    return [record for record in found if record is not None]


def _latest(stage: Stage, store: ArtifactStore, there: Mapping[str, str]) -> list[str]:
    """The keys of the artifacts of a stage's kind whose folders were written last."""

    def written(key: str) -> float:
        try:
            return (store.root / stage.kind / f"{there[key]}-{key}").stat().st_mtime
        except OSError:  # removed meanwhile
            return 0.0

    return sorted(there, key=written)[-MOST_READ:]


def older_versions(record: Record, present: Mapping[str, str]) -> list[str]:
    """`NAME OLD, now NEW` for each library whose version has changed since the artifact
    was made."""
    return [
        f"{name} {was}, now {present[name]}"
        for name, was in sorted(record.made.get("versions", {}).items())
        if name in present and present[name] != was
    ]
