"""What a result was made from: its model, that model's training rows, and versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from motools_build.params import AskParams
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record

LINEAGE = (
    *("model_key", "model_id", "dataset_digest", "made", "versions"),
    *("commit", "dirty"),
)
"""The fields of a lineage, as JSON and flat rows have them."""


@dataclass(frozen=True)
class Lineage:
    """What a result was made from. A result that is not up to date has the keys of its
    plan alone: what an older artifact was made from is not its lineage."""

    model_key: str | None = None
    """Key of the fine-tuned model; None for a base model."""
    model_id: str | None = None
    """Identity of the model that answered: a provider's ID (`ft:...`), or the digest of
    its weights; for a base model its name, or its artifact's key."""
    dataset_digest: str | None = None
    """Digest of the training rows; of rows that a teacher writes, the key of the
    artifact that holds them. None for a base model."""
    made: str | None = None
    """When the eval ended, in UTC."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> its version when the eval was made."""
    commit: str | None = None
    """The git commit that the project was at when the eval was made; None if it was not
    known."""
    dirty: bool | None = None
    """Whether files of the project were not as in that commit."""

    @classmethod
    def of(
        cls,
        record: Record,
        model_key: str | None,
        model_id: str | None,
        dataset_digest: str | None = None,
    ) -> Lineage:
        """The lineage of a result that has this record."""
        made = record.made
        return cls(
            *(model_key, model_id, dataset_digest),
            *(made.get("time"), made.get("versions", {})),
            *(made.get("commit"), made.get("dirty")),
        )

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in LINEAGE}

    def flat(self) -> dict[str, Any]:
        """The fields as values of a table; versions as `inspect_ai 0.3.285, ...`."""
        listed = ", ".join(f"{name} {v}" for name, v in self.versions.items())
        return {**self.as_json(), "versions": listed or None}


def lineage(stage: Stage, record: Record | None, store: ArtifactStore) -> Lineage:
    """The lineage of an eval; `record` is None unless the eval is up to date."""
    model = model_of(stage)
    # of an accepted model, the rows are those that it was trained on
    made = store.get(model) if model and store.acceptance(model) else model
    rows = made.preimage["inputs"].get("dataset") if made else None
    digest = str(rows) if rows else None
    key = str(model.key) if model else None
    if record is None:
        return Lineage(key, dataset_digest=digest)
    return Lineage.of(record, key, _id_of(model, stage, record, store), digest)


def model_of(stage: Stage) -> Stage | None:
    """The stage of the fine-tuned model that an eval asks, be it by way of recorded
    answers; None for a base model."""
    return next((used for used in _above(stage) if used.kind == "model"), None)


def checkpoint_of(stage: Stage) -> int | None:
    """The checkpoint of the model that the eval asks, as a step; None for the last, and
    for an eval of an earlier plan."""
    if stage.params is None:
        return None
    return AskParams.of(stage).task.checkpoint


def _above(stage: Stage) -> Iterator[Stage]:
    yield from stage.upstream
    for used in stage.upstream:
        yield from used.upstream


def _id_of(
    model: Stage | None, stage: Stage, record: Record, store: ArtifactStore
) -> str | None:
    """The identity of the model that answered. A scorer apart reads recorded answers,
    whose record names the model."""
    asked: list[Record] = [record]
    if not any(role == "model" for role in record.preimage["inputs"]):
        found = (store.get(used) for used in stage.upstream)
        asked = [one for one in found if one is not None]
    for one in asked:
        if model is None:
            name = one.preimage["inputs"].get("model")
            return str(name) if name else None
        for name in store.keys_of(model):
            if name in one.inputs:
                return one.inputs[name]
    return None
