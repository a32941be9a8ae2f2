"""The metadata and tags that describe a stage in its log."""

from __future__ import annotations

from typing import Any

from motools_build.backends.job import StageJob
from motools_build.params import AskParams
from motools_build.specs import ModelName


def about(job: StageJob) -> dict[str, Any]:
    """The log's metadata: the stage, its key, and what it was made from."""
    params = AskParams.of(job)
    subject = params.subject
    models = (given.model for given in job.given.values() if given.model)
    return {
        "stage": job.name,
        "key": job.key,
        "setting": subject.setting,
        "arms": list(subject.arms),
        "dataset": subject.dataset_name,
        "eval": params.task.eval_name,
        "base_model": subject.model,
        "training_seed": subject.seed,
        "model_key": next(models, None),
        "made_from": made_from(job),
    }


def tags(job: StageJob) -> list[str]:
    """The log's tags: `setting:simple_math`, `seed:0` and so on."""
    params = AskParams.of(job)
    subject = params.subject
    said = {
        "setting": subject.setting,
        "dataset": subject.dataset_name,
        "eval": params.task.eval_name,
        "seed": subject.seed,
        "key": job.key,
    }
    named = [*said.items(), *(("arm", arm) for arm in subject.arms)]
    return [f"{name}:{value}" for name, value in named if value is not None]


def made_from(job: StageJob) -> dict[str, str]:
    """Role -> output of each artifact that the job uses; and `serve`, if a server of
    this machine answers for the model under test, as half of an eval's answers must not
    be torch's."""
    found = {role: given.output for role, given in job.given.items()}
    return {**found, "serve": "vllm"} if at_server(job) else found


def at_server(job: StageJob) -> bool:
    """Whether a server answers for a model under test that this machine serves."""
    name = ModelName.parse(AskParams.of(job).subject.asked)
    return job.tables.get(name.backend, {}).get("serve") == "vllm"
