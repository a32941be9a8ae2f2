"""The rows that a model learns from: a file's, or what a teacher answered.

Of the latter a plan knows the key alone; path and digest are those of its record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from motools_build.data import DATA
from motools_build.data.rows.checks import SHOWN, check_file, listed
from motools_build.errors import StageFailed
from motools_build.planning.later import derived_source
from motools_build.specs.backends import facts_of
from motools_build.specs.model_name import ModelName
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore

if TYPE_CHECKING:
    from motools_build.data.transforms import Source


class Learned(NamedTuple):
    """Rows that are there."""

    path: str
    digest: str


def rows_of(stage: Stage, store: ArtifactStore) -> Learned | None:
    """The rows that a model or an upload is made of; None while a teacher has not
    written them."""
    if stage.sampled is None:
        return Learned(stage.params["dataset"], stage.params["digest"])
    record = store.get(stage.sampled)
    if record is None:
        return None
    return Learned(f"{store.folder(stage.sampled)}/{DATA}", record.output)


def filled(stage: Stage, store: ArtifactStore) -> Mapping[str, Any]:
    """The stage's params, with the rows that a teacher wrote."""
    if stage.kind == "dataset":
        return _with_sources(stage, store)
    rows = rows_of(stage, store) if stage.sampled else None
    if rows is None:
        return stage.params
    return {
        **stage.params,
        "dataset": rows.path,
        "digest": rows.digest,
        "made_of": rows.digest,
    }


def _with_sources(stage: Stage, store: ArtifactStore) -> Mapping[str, Any]:
    """The params of a step of what a teacher wrote, with the rows that are there."""
    written = {used.key: used for used in stage.upstream if used.kind == "dataset"}
    sources = []
    for source in stage.params.get("sources", ()):
        used = written.get(source.get("written_by"))
        record = store.get(used) if used else None
        if used and record:
            path = f"{store.folder(used)}/{DATA}"
            source = asdict(derived_source(used, path, record.output))
        sources.append(source)
    return {**stage.params, "sources": sources} if written else stage.params


def source_of_sampled(stage: Stage, rows: Learned) -> Source | None:
    """Rows that a teacher wrote, with the prompts that they answer; None for others."""
    return derived_source(stage.sampled, *rows) if stage.sampled else None


def check_sampled(stage: Stage, store: ArtifactStore) -> None:
    """Raises StageFailed for rows of a teacher that the model cannot learn from: before
    anything is sent or paid for."""
    learns = stage.sampled and stage.kind != "dataset"
    rows = rows_of(stage, store) if learns else None
    if rows is None:
        return
    from motools_build.data.transforms.blame import blamed

    facts = facts_of(stage.backend)
    problems = check_file(rows.path, "sft", facts.rules())
    if stage.kind == "model":
        model = ModelName.parse(stage.params["model"]).model
        problems += islice(facts.too_long(rows.path, "sft", model), SHOWN + 1)
    if problems:
        source = source_of_sampled(stage, rows)
        assert source is not None
        raise StageFailed(
            f"{listed(blamed(problems, source))}\nnothing was trained on these rows of "
            f"{source}; change its prompts, or what its teacher is told"
        )
