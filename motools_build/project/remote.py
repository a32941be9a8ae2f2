"""What commands ask of providers, outside of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from motools_build.account import Account
from motools_build.backends import registry
from motools_build.backends.base import Backend
from motools_build.backends.job import StageJob
from motools_build.backends.provider import Health, Provider, What
from motools_build.errors import AccountError, BackendError, MotoolsError
from motools_build.report.payments import payment
from motools_build.running.effects import ENDED, attempt_of, elected
from motools_build.running.learned import job_of
from motools_build.stages import Stage
from motools_build.store.records import Paid, Record

if TYPE_CHECKING:
    from motools_build.project.project import Project
    from motools_build.report.forecasts import Action, Expected


CALENDAR_SECONDS = 10.0
"""For which an account is asked when its models end."""

ASKED_AT_ONCE = 16
"""Questions in flight at a time."""


class _Opened(dict[str, Backend]):
    """Backends by their identity, each opened on first use and closed in the end."""

    def __init__(self, project: Project) -> None:
        super().__init__()
        self._prices = project.prices

    def __missing__(self, identity: str) -> Backend:
        self[identity] = registry.get(identity, self._prices)
        return self[identity]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        for backend in self.values():
            await backend.close()


def payers(stages: Iterable[Stage]) -> list[Account]:
    """The accounts that stages would be paid by; they tell the identity, too."""
    found = {account.name: account for s in stages for account in s.accounts}
    return list(found.values())


def check_keys(stages: Iterable[Stage]) -> None:
    """Raises AccountError if one of the accounts has no key."""
    for account in payers(stages):
        account.key()


async def looked_up(project: Project, found: list[Expected]) -> list[Expected]:
    """What is expected after a look at the providers: a job there would be adopted."""
    opened = _Opened(project)

    async def look(one: Expected) -> Expected:
        stage = one.stage
        if one.action != "run" or not stage.at_provider:
            return one
        job = job_of(stage, project.store)
        if stage.sampled and not job.made_of:
            return one  # a teacher writes its rows first
        provider = opened[stage.backend].provider(job)
        return await _seen(one, provider, job, payment(stage, project.store))

    async with opened:  # together, so that they share the provider's listings
        return await asyncio.gather(*map(look, found))


async def _seen(
    one: Expected, provider: Provider, job: StageJob, paid: Paid | None
) -> Expected:
    """What is expected, if a job of the attempt to come is at the provider already."""
    there = await provider.find(job)
    found = elected(there, attempt_of(paid, there))
    if found is None:
        return one
    told = await provider.poll(job, found.id)
    # what is listed is there, though it may not be known when asked for just now
    over = None if told.status == "gone" else ENDED.get(told.status)
    why = f"{found.id} {over}: {told.message}" if over else f"{found.id} is there"
    action: Action = "blocked" if over else "adopt"
    return replace(one, action=action, reason=why, cost=0.0, tokens=None)


async def ask_calendar(project: Project, accounts: Iterable[Account]) -> list[str]:
    """Ask accounts that were not asked today when their models end, and remember it;
    what went wrong, if something did. It is worth no long wait, and stops nothing."""
    due = [one for one in accounts if project.shutdowns.due(one.name)]
    if not due:
        return []
    told = []
    async with _Opened(project) as opened:
        for account in due:
            try:
                async with asyncio.timeout(CALENDAR_SECONDS):
                    dates = await opened[account.identity].shutdowns(account)
                project.shutdowns.note(account.name, dates)
            except (MotoolsError, TimeoutError) as error:
                why = str(error) or f"no answer in {CALENDAR_SECONDS:g} s"
                told.append(f"when models of account {account.name} end: {why}")
    return told


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


async def health(project: Project) -> list[Remote]:
    """Each file, job and model of a provider that a record names, and how it is."""
    at_once = asyncio.Semaphore(ASKED_AT_ONCE)

    async def look(record: Record, what: What, id: str) -> Remote:
        async with at_once:
            how, about = await _health(project, opened, record, what, id)
        return Remote(what, id, record.name, how, about)

    records = [r for kind in ("upload", "model") for r in project.store.records(kind)]
    made = [record for record in records if "account" in record.details]
    async with _Opened(project) as opened:
        looks = [look(r, what, id) for r in made for what, id in _named(r)]
        return await asyncio.gather(*looks)


async def _health(
    project: Project, opened: _Opened, record: Record, what: What, id: str
) -> tuple[Health, str]:
    """As the account of the record sees it, if that is still the same server's."""
    try:
        account = project.accounts[record.details["account"]]
        if account.identity != record.backend:
            now = f"account {account.name} is at {account.identity} now"
            return "unknown", f"made at {record.backend}, and {now}"
        return await opened[record.backend].health(account, what, id)
    except (AccountError, BackendError) as error:
        return "unknown", str(error)


def _named(record: Record) -> list[tuple[What, str]]:
    if record.kind == "upload":
        return [("file", record.output)]
    named: list[tuple[What, str]] = [("model", record.output)]
    job = record.details.get("job")
    return [("job", job), *named] if job else named
