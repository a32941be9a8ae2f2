"""Commands about jobs at providers: retry and adopt. Also exports jobs and cancel,
which need no settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from motools_build.backends import registry
from motools_build.backends.provider import BY_HAND, Provider
from motools_build.doit_host.cancelling import Cancel
from motools_build.doit_host.from_ledger import Jobs
from motools_build.doit_host.queries import Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.errors import ArtifactError
from motools_build.project.project import Project
from motools_build.project.remote import check_keys
from motools_build.project.reviving import bound_again, living, model_is_gone
from motools_build.report.payments import other_rows, payment
from motools_build.running.effects import ENDED, entry_of
from motools_build.running.inputs import outputs_of
from motools_build.running.learned import job_of
from motools_build.running.versions import versions
from motools_build.stages import Stage
from motools_build.store.records import Paid
from motools_build.store.runs import now
from motools_build.text import hints

__all__ = ["Adopt", "Cancel", "Jobs", "Retry"]

T = TypeVar("T")


class OneStage(Query):
    """A command about the job of one stage."""

    doc_usage = "STAGE|KEY|JOB"
    doc_description: str | None = None
    cmd_options = ()

    def _model(self, project: Project, words: list[str]) -> Stage:
        """The one model at a provider that the words mean. Raises InvalidCommand if
        they mean none or several, AccountError if its account has no key."""
        stages = project.selection.chosen(words) if words else {}
        found = {s.key: s for s in stages.values() if s.kind == "model"}
        if len(found) != 1:
            names = "\n".join(stage.name for stage in list(found.values())[:20])
            which = f"; name one:\n{names}" if names else " (doit jobs lists them)"
            raise InvalidCommand(f"`doit {self.name}` takes one model's stage{which}")
        (stage,) = found.values()
        if stage.account is None:
            raise InvalidCommand(
                f"{stage.name} has no job at a provider: the {stage.backend} backend "
                "works on this machine"
            )
        check_keys([stage])
        return stage


class Retry(OneStage):
    """`doit retry STAGE`: allows another attempt of a job that ended with no model."""

    name = "retry"
    doc_purpose = "allow another attempt of a job that failed"

    def _execute(self, pos_args: list[str]) -> int:
        project = current().project
        stage = self._model(project, pos_args)
        with _alone(project, stage):
            paid = payment(stage, project.store)
            if paid is None or paid.phase not in ENDED:
                self._refuse(project, stage, paid)
                assert paid is not None
            elif not other_rows(stage, paid, project.store):
                job = job_of(stage, project.store)
                lives = asyncio.run(
                    _with_provider(
                        project, stage, lambda p: living(job, p, paid, project.settle)
                    )
                )
                if lives:
                    again = bound_again(project, stage, paid, lives)
                    self._say(
                        f"{stage.name}: {again.id} lives at its provider, and no other "
                        f"attempt is paid for; to take it up: doit run {stage.name}"
                    )
                    return 0
            tokens, cost = project.charge(stage)
            again = replace(
                paid,
                phase="absent",
                attempt=paid.attempt + 1,
                nonces=(),
                id="",
                adopted=False,
                message="",
                since=time.time(),
            )
            project.store.ledger.note(entry_of(stage.key, again, "retry"))
            project.store.remove(stage)
            project.store.states.save_paid(stage.key, again)
        how = ENDED.get(paid.phase, "is gone from the provider")
        if other_rows(stage, paid, project.store):
            how = "is of other rows than its teacher's present ones"
        said = f": {paid.message}" if paid.message else ""
        price = "not known" if cost is None else f"about ${cost:.2f}"
        counted = "?" if tokens is None else f"{tokens:,}"
        self._say(f"{stage.name}: attempt {paid.attempt}, {paid.id}, {how}{said}")
        self._say(
            f"attempt {again.attempt} costs {price} ({counted} tokens); it goes out "
            f"with the next run: {hints.command('run', stage.name)}"
        )
        return 0

    def _refuse(self, project: Project, stage: Stage, paid: Paid | None) -> None:
        """Raises InvalidCommand for a stage whose job has not ended without a model,
        unless its model is gone from the provider or its teacher wrote other rows
        since."""
        if other_rows(stage, paid, project.store):
            return
        record = project.store.get(stage)
        if paid is None or record is None:
            raise InvalidCommand(
                f"{stage.name} has not failed at its provider; `doit run` makes it"
            )
        job, settle = job_of(stage, project.store), project.settle
        gone = asyncio.run(
            _with_provider(
                project,
                stage,
                lambda p: model_is_gone(job, p, BY_HAND + record.output, settle),
            )
        )
        if not gone:
            raise InvalidCommand(
                f"{stage.name} has its model, {record.output}; nothing to try again"
            )


class Adopt(OneStage):
    """`doit adopt STAGE MODEL_ID`: an existing model becomes the stage's artifact."""

    name = "adopt"
    doc_purpose = "make an existing model (ft:...) a stage's artifact"
    doc_usage = "STAGE|KEY|JOB MODEL_ID"

    def _execute(self, pos_args: list[str]) -> int:
        project = current().project
        if len(pos_args) != 2:
            raise InvalidCommand("`doit adopt` takes a stage and a model's ID")
        stage, model = self._model(project, pos_args[:1]), pos_args[1]
        job, id = job_of(stage, project.store), BY_HAND + model
        told = asyncio.run(_with_provider(project, stage, lambda p: p.poll(job, id)))
        if told.status != "succeeded":
            raise InvalidCommand(f"nothing was adopted: {told.message}")
        with _alone(project, stage):
            before = payment(stage, project.store)
            if before and before.phase in ("intent", "bound") and not before.adopted:
                raise InvalidCommand(
                    f"{stage.name} has a job of its own under way "
                    f"({before.id or 'a request'}); first: "
                    f"{hints.command('cancel', stage.name)}"
                )
            paid = Paid(
                phase="bound",
                stage=stage.name,
                kind=stage.kind,
                backend=stage.backend,
                account=job.account.name if job.account else "",
                attempt=before.attempt if before else 1,
                since=time.time(),
                id=id,
                adopted=True,
                made_of=job.made_of,
            )
            project.store.ledger.note(entry_of(stage.key, paid, "bound"))
            project.store.remove(stage)
            work = project.store.work_folder(stage)
            job = replace(job, work=str(work))
            made = asyncio.run(
                _with_provider(project, stage, lambda p: p.collect(job, id))
            )
            project.store.put(
                stage,
                work,
                output=made.output,
                details={**made.details, "attempt": paid.attempt, "adopted": True},
                inputs=outputs_of(stage, project.store),
                made={"time": now(), "seconds": 0.0, "versions": versions()},
            )
            project.store.ledger.note(entry_of(stage.key, paid, "succeeded"))
        self._say(f"{stage.name} is {model} now, adopted by hand")
        return 0


async def _with_provider(
    project: Project, stage: Stage, ask: Callable[[Provider], Awaitable[T]]
) -> T:
    backend = registry.get(stage.backend, project.prices)
    try:
        return await ask(backend.provider(job_of(stage, project.store)))
    finally:
        await backend.close()


@contextmanager
def _alone(project: Project, stage: Stage) -> Iterator[None]:
    """Hold the stage's lock. Raises ArtifactError if a run holds it, or if the stage is
    accepted as another key's artifact, so that nothing may be made for it."""
    locks = project.store.locks
    if not locks.take(stage.key):
        raise ArtifactError(
            f"{stage.name} is being made by a run; stop it first (Ctrl-C: its job goes "
            "on)"
        )
    try:
        project.store.accepted.check(stage.name, stage.key)
        yield
    finally:
        locks.drop(stage.key)
