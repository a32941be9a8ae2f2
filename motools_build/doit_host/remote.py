"""What commands ask of providers, outside of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from motools_build import backends
from motools_build.accounts import Account
from motools_build.backends.base import Backend, Health, Job
from motools_build.records import Record
from motools_build.stages import Stage

if TYPE_CHECKING:
    from motools_build.backends.openai.health import What
    from motools_build.doit_host.session import Session
    from motools_build.report.explain import Intent


def payers(stages: Iterable[Stage]) -> list[Account]:
    """The accounts that stages would be paid by; they tell the identity, too."""
    accounts = (s.params["account"] for s in stages if "account" in s.params)
    found = {account["name"]: account for account in accounts}
    return [Account(**account) for account in found.values()]


def check_keys(stages: Iterable[Stage]) -> None:
    """Raises AccountError if one of the accounts has no key."""
    for account in payers(stages):
        account.key()


def question(stage: Stage) -> Job:
    """A stage as a provider is asked about it: nothing is made."""
    return Job(stage.kind, stage.backend, stage.key, stage.name, stage.params, work="")


async def looked_up(session: Session, found: list[Intent]) -> list[Intent]:
    """Intents, after a look at the providers: what is there would be adopted."""
    opened: dict[str, Backend] = {}
    try:
        looked = []
        for intent in found:
            stage = intent.stage
            if intent.action == "run" and stage in _paid([stage]):
                backend = opened.setdefault(
                    stage.backend, backends.get(stage.backend, session.prices)
                )
                job = question(stage)
                there = await backend.provider(job).find(job)
                if there:
                    first = min(there, key=lambda one: (one.created, one.id))
                    why = f"{first.id} is at the provider"
                    intent = replace(
                        intent, action="adopt", reason=why, cost=0.0, tokens=None
                    )
            looked.append(intent)
        return looked
    finally:
        for backend in opened.values():
            await backend.close()


def _paid(stages: Iterable[Stage]) -> list[Stage]:
    return [s for s in stages if "account" in s.params and s.kind != "eval"]


@dataclass(frozen=True)
class Remote:
    """Something that a record names and a provider keeps."""

    what: str
    id: str
    stage: str
    health: Health
    about: str

    def is_well(self) -> bool:
        """Whether it is surely there."""
        return self.health in ("alive", "expiring")


async def health(session: Session) -> list[Remote]:
    """Each file, job and model of a provider that a record names, and how it is."""
    from motools_build.backends.openai import OpenAIBackend

    backend = OpenAIBackend(session.prices)
    found = []
    try:
        for kind in ("upload", "model"):
            for record in session.store.records(kind):
                if "account" not in record.details:
                    continue
                account = session.accounts[record.details["account"]]
                for what, id in _named(record):
                    how, about = await backend.health(account, what, id)
                    found.append(Remote(what, id, record.name, how, about))
    finally:
        await backend.close()
    return found


def _named(record: Record) -> list[tuple[What, str]]:
    if record.kind == "upload":
        return [("file", record.output)]
    named: list[tuple[What, str]] = [("model", record.output)]
    job = record.details.get("job")
    return [("job", job), *named] if job else named
