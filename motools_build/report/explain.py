"""The explanation of a stage: what its key is made of, and what differs from existing
artifacts. The data of `doit why`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from motools_build.report.status import Status
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record

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
    the stage is up to date or no other artifact of its kind exists."""
    differences: tuple[Difference, ...]
    """The fields in which the nearest artifact's key differs."""
    upstream: Mapping[str, Used]
    """Name of each upstream stage -> its output."""
    libraries: tuple[str, ...]
    """Libraries whose version has changed since the artifact was made, for information:
    a version is in no key, so nothing re-runs."""

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
    """The explanation of a stage with this status. `versions` is installed library ->
    version. `superseded` is, for a stage that no present plan has, the sentence that
    says what replaced it."""
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
    new, old = flat(stage.preimage), flat(record.preimage)
    return [
        (name, old.get(name), new.get(name))
        for name in sorted({*new, *old})
        if old.get(name) != new.get(name)
    ]


def nearest(stage: Stage, store: ArtifactStore) -> Record | None:
    """The other artifact of the stage's kind that differs in the fewest fields; among
    equals, one with the stage's name, then the latest. None if there is none."""
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
    """`NAME OLD, now NEW` for each library whose version has changed since the artifact
    was made."""
    return [
        f"{name} {was}, now {present[name]}"
        for name, was in sorted(record.made.get("versions", {}).items())
        if name in present and present[name] != was
    ]
