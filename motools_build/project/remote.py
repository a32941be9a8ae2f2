"""Requests that commands send to providers outside of a run; none of them is paid."""

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
"""Timeout of asking an account for the shutdown dates of its models, in seconds."""

ASKED_AT_ONCE = 16
"""Health requests in flight at a time."""


class _Opened(dict[str, Backend]):
    """Backend identity -> backend. Each is opened on first use, and closed on exit."""

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
    """The accounts that would pay for the stages, each once."""
    found = {account.name: account for s in stages for account in s.accounts}
    return list(found.values())


def check_keys(stages: Iterable[Stage]) -> None:
    """Raises AccountError if an account that would pay for the stages has no key."""
    for account in payers(stages):
        account.key()


async def looked_up(project: Project, found: list[Expected]) -> list[Expected]:
    """The forecast after asking the providers for jobs: a run would adopt a job that is
    there, so its stage costs nothing."""
    opened = _Opened(project)

    async def look(one: Expected) -> Expected:
        stage = one.stage
        if one.action != "run" or not stage.at_provider:
            return one
        job = job_of(stage, project.store)
        if stage.sampled and not job.made_of:
            return one  # no job can exist before the teacher has written its rows
        provider = opened[stage.backend].provider(job)
        return await _seen(one, provider, job, payment(stage, project.store))

    async with opened:  # all at once, so that they share a provider's job list
        return await asyncio.gather(*map(look, found))


async def _seen(
    one: Expected, provider: Provider, job: StageJob, paid: Paid | None
) -> Expected:
    """The stage's forecast, given that the provider may have a job of the next attempt
    already: `adopt` if it runs or has succeeded, `blocked` if it ended without a
    model."""
    there = await provider.find(job)
    found = elected(there, attempt_of(paid, there))
    if found is None:
        return one
    told = await provider.poll(job, found.id)
    # a job that is listed exists, even if a request for it alone says that it is gone
    over = None if told.status == "gone" else ENDED.get(told.status)
    why = f"{found.id} {over}: {told.message}" if over else f"{found.id} is there"
    action: Action = "blocked" if over else "adopt"
    return replace(one, action=action, reason=why, cost=0.0, tokens=None)


async def ask_calendar(project: Project, accounts: Iterable[Account]) -> list[str]:
    """Ask each account for the shutdown dates of its models, unless it was asked within
    a day, and store them. Returns a sentence for each failed request. The timeout is
    short and a failure is not raised, because a run can do without the dates."""
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
    """A file, job or model at a provider that a record names."""

    what: str
    id: str
    stage: str
    health: Health
    about: str

    def is_well(self) -> bool:
        """Whether the provider has confirmed that it exists."""
        return self.health in ("alive", "expiring")


async def health(project: Project) -> list[Remote]:
    """The health of each file, job and model at a provider that a record names."""
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
    """The health that the record's account reports, and details. `unknown` if the
    account is at another server now, or if the request failed."""
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
