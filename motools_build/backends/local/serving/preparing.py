"""What a worker does before its job, an eval by vLLM: it keeps the run's servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from motools_build.backends.base import checkpoint_of
from motools_build.backends.job import Given, StageJob
from motools_build.backends.local.serving.asked import parts, rank_of
from motools_build.backends.local.serving.server import Server, executable, expect
from motools_build.backends.local.table import Table
from motools_build.params import AskParams
from motools_build.specs import ModelName

WeightsOf = Callable[[str, Given], str | None]
"""The folder of a base model's weights, by its name and its artifact."""


def prepare(job: StageJob, table: Table, weights_of: WeightsOf) -> None:
    """Tie the servers that the job may ask to this process, a worker of the run, so
    that they last from eval to eval. Nothing is started. Raises MissingExtra if vLLM is
    not installed."""
    if table.base_url:
        return
    executable()
    if job.only_load:
        return
    expect(None)
    models = [parts(*places) for places in _asked(job, weights_of)]
    for base, adapter in models:
        if adapter is not None:
            expect(base, rank_of(adapter))
    for base, adapter in models:
        Server.for_model(base, rank_of(adapter), table.vllm).tie()


def _asked(job: StageJob, weights_of: WeightsOf) -> Iterator[tuple[str, str | None]]:
    """The folders of the base model and of the fine-tune, of each model of `local` that
    the job may ask."""
    params = AskParams.of(job)
    subject = ModelName.parse(params.subject.asked)
    judges = map(ModelName.parse, params.task.roles.values())
    for name in {subject, *judges}:
        base = job.given.get("base" if name == subject else f"base:{name}")
        if name.backend != "local" or base is None:
            continue
        weights = weights_of(name.model, base)
        assert weights is not None
        yield weights, None
        if name == subject and (made := job.given.get("model")):
            model = checkpoint_of(job, made)
            yield weights, made.path if model == made.output else f"{made.path}/{model}"
