"""The backend `inspect`: runs evals with Inspect AI, in a worker."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from motools_build.backends import asking, registry
from motools_build.backends.base import Backend, Together
from motools_build.backends.inspect.apart import scores_apart
from motools_build.backends.job import Made, Report, ReportOf, StageJob
from motools_build.errors import MotoolsError
from motools_build.keys import canonical, digest_bytes
from motools_build.params import AskParams, Lesson
from motools_build.specs import ModelName

AHEAD = (
    "motools_build.backends.inspect.running",
    "motools_build.serving.models",
    "anyio._backends._asyncio",
    "inspect_ai._control.config_record",
    "inspect_ai._control.scoring",
    "inspect_ai.agent._acp.server",
    "inspect_ai.agent._acp.transport_live",
    "inspect_ai.hooks._startup",
    "inspect_ai.model._openai_responses",
    "inspect_ai.model._providers.none",
    "numpy.random",
    "rich._emoji_codes",
    "rich.markdown",
)
"""Modules that every eval imports when it runs; `prepare` imports them before a job's
child process starts. The child does not read bytecode caches, and imports of these 900
modules took 4 seconds of each eval."""


class InspectBackend(Backend):
    """Runs an Inspect task on any backend's model, scores recorded answers, or makes a
    dataset from a model's answers."""

    in_worker = frozenset({"samples", "eval", "dataset"})

    def prepare(self, job: StageJob) -> None:
        from inspect_ai.model import get_model, get_model_info

        # before it creates its first model, Inspect imports all packages that extend
        # it: this takes seconds if inspect_evals is installed
        get_model("mockllm/model")

        for module in AHEAD:
            with suppress(ImportError):  # another version of Inspect may lack it
                importlib.import_module(module)
        get_model_info("openai/gpt-4o")  # reads the table of all models, half a second
        for name in {ModelName.parse(model).backend for model in _asked(job)}:
            registry.get(name).prepare(job)

    def keeps(self, job: StageJob) -> str | None:
        names = {ModelName.parse(model).backend for model in _asked(job)}
        kept = (registry.get(name).keeps(job) for name in sorted(names))
        return "+".join(filter(None, kept)) or None

    def together(self, job: StageJob) -> Together | None:
        """Evals of one task with the same accounts share one call of Inspect, as they
        wait for the network. Evals of a model that this machine serves run alone. So do
        evals of different tasks: in one process they could change each other's
        scores."""
        here = not ModelName.parse(AskParams.of(job).subject.asked).facts.remote
        if not job.accounts or (here and not scores_apart(job)):
            return None
        accounts = "+".join(account.name for account in job.accounts)
        same = [job.kind, accounts, _same(job)]
        return Together(accounts, digest_bytes(canonical(same)))

    def work(self, job: StageJob, report: Report) -> Made:
        if job.only_load:
            from motools_build.backends.inspect.loading import checked

            return checked(job)
        made = self.work_together([job], job.work, lambda _, told: report(told))
        outcome = made[job.key]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def work_together(
        self, jobs: Sequence[StageJob], folder: str, report: ReportOf
    ) -> dict[str, Made | MotoolsError]:
        from motools_build.backends.inspect.running import evaluate

        asking.served.clear()
        made = evaluate(jobs, folder, report)
        served = {"served": {**asking.served}} if asking.served else {}
        return {
            key: replace(outcome, details={**outcome.details, **served})
            if isinstance(outcome, Made)
            else outcome
            for key, outcome in made.items()
        }


def _asked(job: StageJob) -> tuple[str, ...]:
    """The models that the job asks: the model under test, and judges."""
    params = AskParams.of(job)
    subject = () if scores_apart(job) else (params.subject.asked,)
    return (*subject, *params.task.roles.values())


def _same(job: StageJob) -> dict[str, Any]:
    """The values that evals of one call have in common. Their digest names the call's
    folder, where a later run looks for recorded answers: with other fields or another
    form it would not find them."""
    task = AskParams.of(job).task
    lesson = task if isinstance(task, Lesson) else None
    return {
        "file": task.file,
        "package": task.package,
        "function": task.function,
        "overrides": task.overrides,
        "roles": task.roles,
        "scorer": asdict(task.scorer) if task.scorer else None,
        "first_epoch": task.first_epoch if job.kind == "samples" else None,
        "lesson": lesson
        and {
            "prompts": lesson.prompts_path,
            "digest": lesson.prompts_digest,
            "name": lesson.prompts_name,
            "system": lesson.system,
        },
    }
