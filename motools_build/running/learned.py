"""The rows that a model is trained on: those of a file, or a teacher's answers.

For a teacher's answers, the plan knows only the key of the stage that writes them. Path
and digest come from that stage's artifact.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from motools_build.data import DATA
from motools_build.data.rows.checks import SHOWN, check_file, listed
from motools_build.data.source import Source, Unwritten
from motools_build.errors import StageFailed
from motools_build.keys import Key
from motools_build.params import ModelParams, RowsParams, StepParams
from motools_build.planning.later import derived_source
from motools_build.specs.backends import facts_of
from motools_build.specs.model_name import ModelName
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore

if TYPE_CHECKING:
    from motools_build.backends.job import StageJob


class Learned(NamedTuple):
    """Path and digest of a JSONL file of rows that exists."""

    path: str
    digest: str


def rows_of(stage: Stage, store: ArtifactStore) -> Learned | None:
    """The rows that a `model` or `upload` stage uses; None while a teacher has not yet
    written them."""
    if stage.sampled is None:
        params = RowsParams.of(stage)
        return Learned(params.rows_path, params.rows_digest)
    record = store.get(stage.sampled)
    if record is None:
        return None
    return Learned(str(store.materialise(stage.sampled) / DATA), record.output)


def job_of(stage: Stage, store: ArtifactStore, work: str = "") -> StageJob:
    """The job that makes a stage, without the artifacts that it uses: requests about
    its job at a provider need no more. Rows that a teacher wrote are filled in."""
    from motools_build.backends.job import StageJob

    params, made_of = stage.params, ""
    if isinstance(params, StepParams):
        params = _with_sources(stage, params, store)
    elif isinstance(params, RowsParams) and stage.sampled:
        rows = rows_of(stage, store)
        if rows is not None:
            made_of = rows.digest
            params = replace(params, rows_path=rows.path, rows_digest=rows.digest)
    return StageJob(
        kind=stage.kind,
        backend=stage.backend,
        key=stage.key,
        name=stage.name,
        params=params,
        work=work,
        account=stage.account,
        judges=stage.judges,
        made_of=made_of,
    )


def _with_sources(stage: Stage, params: StepParams, store: ArtifactStore) -> StepParams:
    """A step's params, with the rows that teachers have written filled in."""
    written = {used.key: used for used in stage.upstream if used.kind == "dataset"}

    def filled(source: Source | Unwritten) -> Source | Unwritten:
        if isinstance(source, Source):
            return source
        used = written[Key(source.written_by)]
        record = store.get(used)
        if record is None:
            return source
        return derived_source(used, str(store.materialise(used) / DATA), record.output)

    return replace(params, sources=tuple(map(filled, params.sources)))


def source_of_sampled(stage: Stage, rows: Learned) -> Source | None:
    """The source of rows that a teacher wrote, which leads to their prompts; None for
    other rows."""
    return derived_source(stage.sampled, *rows) if stage.sampled else None


def check_sampled(stage: Stage, store: ArtifactStore) -> None:
    """Raises StageFailed for rows of a teacher that the model cannot be trained on,
    before anything is sent or paid for."""
    learns = stage.sampled and stage.kind != "dataset"
    rows = rows_of(stage, store) if learns else None
    if rows is None:
        return
    from motools_build.data.transforms.blame import blamed

    facts = facts_of(stage.backend)
    problems = check_file(rows.path, "sft", facts.rules())
    if stage.kind == "model":
        model = ModelName.parse(ModelParams.of(stage).model).model
        problems += islice(facts.too_long(rows.path, "sft", model), SHOWN + 1)
    if problems:
        source = source_of_sampled(stage, rows)
        assert source is not None
        raise StageFailed(
            f"{listed(blamed(problems, source))}\nnothing was trained on these rows of "
            f"{source}; change its prompts, or what its teacher is told"
        )
