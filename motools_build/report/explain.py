"""Why a stage is what it is: what its key is made of, and what differs from what there
is. The data of `doit why`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from motools_build.report.status import Status
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record

Difference = tuple[str, Any, Any]
"""Field, its value in the other artifact, its value in the stage; None: not there."""


@dataclass(frozen=True)
class Used:
    """A stage whose output another one is made from."""

    recorded: str | None
    """The output that the artifact was made from; None if there is no artifact."""
    present: str | None
    """The output that is there now; None if it is gone."""


@dataclass(frozen=True)
class Explanation:
    """All that there is to say of a stage's key and artifact."""

    status: Status
    stale: str | None
    """Why it must be made, by its key alone; None if it is up to date."""
    record: Record | None
    nearest: Record | None
    """Of a stale stage: the artifact that differs from it in the fewest fields."""
    differences: tuple[Difference, ...]
    """In what the nearest artifact's key differs."""
    upstream: Mapping[str, Used]
    """By the names of the stages that it is made from."""
    libraries: tuple[str, ...]
    """Libraries of other versions when the artifact was made; nothing re-runs."""

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
            "preimage": self.stage.preimage,
            "files": self.stage.files,
            "observed": dict(details.get("observed", {})),
            "variables": details.get("variables", []),
            "status": self.status.word,
            "note": self.status.why,
            "stale": self.stale,
            "nearest": {"name": near.name, "key": near.key} if near else None,
            "differences": list(self.differences),
            "upstream": {name: vars(used) for name, used in self.upstream.items()},
            "other libraries": list(self.libraries),
        }


def explanation(
    status: Status,
    store: ArtifactStore,
    versions: Mapping[str, str],
    superseded: str | None = None,
) -> Explanation:
    """What there is to say of a stage, given its status. `versions` are those of the
    installed libraries; `superseded` says by which a stage was replaced that no present
    plan has."""
    stage = status.stage
    record = store.get(stage)
    stale = superseded or store.why_stale(stage)
    near = nearest(stage, store) if stale else None
    upstream = {}
    for used in stage.upstream:
        found = store.get(used)
        upstream[used.name] = Used(
            record.inputs.get(used.key) if record else None,
            found.output if found else None,
        )
    return Explanation(
        status,
        stale,
        record,
        near,
        tuple(differences(stage, near)) if near else (),
        upstream,
        tuple(older_versions(record, versions)) if record else (),
    )


def flat(preimage: Mapping[str, Any]) -> dict[str, Any]:
    """A preimage as `spec.epochs` -> 3, `inputs.dataset` -> digest."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                yield from walk(inner, f"{path}.{name}" if path else name)
        else:
            yield path, value

    return dict(walk(preimage, ""))


def differences(stage: Stage, record: Record) -> list[Difference]:
    """The fields of the key that differ from a recorded one."""
    new, old = flat(stage.preimage), flat(record.preimage)
    return [
        (name, old.get(name), new.get(name))
        for name in sorted({*new, *old})
        if old.get(name) != new.get(name)
    ]


def nearest(stage: Stage, store: ArtifactStore) -> Record | None:
    """The artifact that differs from the stage in the fewest fields; of several, the
    one that had the stage's name, and then the latest."""
    others = [r for r in store.records(stage.kind) if r.key != stage.key]
    return min(
        others,
        key=lambda record: (
            len(differences(stage, record)),
            record.name != stage.name,
            [-ord(digit) for digit in record.made.get("time", "")],
        ),
        default=None,
    )


def older_versions(record: Record, present: Mapping[str, str]) -> list[str]:
    """Libraries that were others when the artifact was made; shown, never re-run."""
    return [
        f"{name} {was}, now {present[name]}"
        for name, was in sorted(record.made.get("versions", {}).items())
        if name in present and present[name] != was
    ]
