"""`doit cancel`: the emergency stop."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field, replace
from json import dumps

from motools_build.account import Account
from motools_build.backends import registry
from motools_build.backends.accounts import Accounts
from motools_build.backends.base import Backend
from motools_build.backends.job import StageJob
from motools_build.backends.provider import Provider
from motools_build.doit_host.from_ledger import FromLedger, every_job, jobs_of
from motools_build.doit_host.queries import OPT_JSON
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.errors import AccountError, ArtifactError, MotoolsError, Refused
from motools_build.keys import Key
from motools_build.project.cancelling import cancel_job
from motools_build.project.project import Project
from motools_build.project.runtime import stops
from motools_build.report.drawing.jobs import spoken
from motools_build.report.paid_jobs import CLUSTER, DAMAGED, JobLine
from motools_build.running.effects import entry_of, paid_of
from motools_build.specs.backends import facts_of
from motools_build.store.records import Paid

ALL = {
    "name": "every",
    "long": "all",
    "type": bool,
    "default": False,
    "help": "every job of this folder that has not ended",
}

MEANWHILE = "has gone on meanwhile; cancel it again"


class Cancel(FromLedger):
    """`doit cancel JOB|KEY|STAGE|PATTERN|SETTING`, or `--all`: cancels jobs at their
    providers, and at clusters."""

    name = "cancel"
    doc_purpose = "cancel jobs at providers and clusters: an emergency stop"
    doc_usage = "JOB|KEY|STAGE|'PATTERN'|SETTING... | --all"
    doc_description = (
        "Works from artifacts/ alone, and without a question. A run under way sends "
        "nothing more of what is named. Exit code 1 if a job may still go on."
    )
    cmd_options = (OPT_JSON, ALL)

    def _execute(self, json: bool, every: bool, pos_args: list[str]) -> int:
        project = current().project
        if bool(pos_args) == every:
            raise InvalidCommand(
                "name jobs, by ID, key, stage, pattern or setting (`doit jobs` lists "
                "them), or cancel every one: doit cancel --all"
            )
        if every:
            stops(project).order(["*"], [])
            found = [job for job in every_job(project.store) if not job.ended]
        else:
            found = jobs_of(project.store, pos_args)
            # a stage that waits in a run has no job yet, so the words are passed on too
            stops(project).order(pos_args, {job.key for job in found})
        told = asyncio.run(_Cancelling(project).all(found))
        if json:
            self._say(dumps([one.as_json() for one in told], ensure_ascii=False))
        else:
            self._tell(told)
            count = sum(one.over for one in told)
            more = f", {len(told) - count} may go on" if count < len(told) else ""
            self._say(f"{count} cancelled or ended{more}" if told else "no job goes on")
        return 0 if all(one.over for one in told) else 1

    def _tell(self, told: list[Outcome]) -> None:
        """Print a line for each outcome; jobs that could not be cancelled for the same
        reason are listed under one line."""
        alike: dict[str, list[Outcome]] = {}
        for number, one in enumerate(told):
            alike.setdefault(str(number) if one.over else one.said, []).append(one)
        for same in alike.values():
            if len(same) == 1:
                self._say(str(same[0]))
                continue
            self._say(f"!! {len(same)} jobs: {same[0].said}")
            for one in same:
                self._say(f"      {one.job.id or 'a request'} of {one.job.stage}")


@dataclass(frozen=True)
class Outcome:
    """The outcome of cancelling one job."""

    job: JobLine
    over: bool
    """Whether it is certain that the job costs nothing more."""
    said: str

    def as_json(self) -> dict[str, object]:
        job = self.job
        return {
            "job": job.id,
            "stage": job.stage,
            "key": job.key,
            "account": job.account,
            "over": self.over,
            "said": self.said,
        }

    def __str__(self) -> str:
        mark = "  " if self.over else "!!"
        return f"{mark} {self.job.id or 'a request'} of {self.job.stage}: {self.said}"


@dataclass
class _Cancelling:
    """The work of one `doit cancel`: all jobs at once, with one backend for each
    provider's identity."""

    project: Project
    _backends: dict[str, Backend] = field(default_factory=dict)

    async def all(self, found: list[JobLine]) -> list[Outcome]:
        """Cancel the jobs; their outcomes, in the order of the jobs. A request whose
        answer was lost may turn out to be several jobs, with an outcome each."""
        try:
            told = await asyncio.gather(*map(self._one, found))
        finally:
            for backend in self._backends.values():
                await backend.close()
        return [outcome for of_one in told for outcome in of_one]

    async def _one(self, line: JobLine) -> list[Outcome]:
        """The outcomes of one line. Raises nothing, because one job's error must not
        keep the others from being cancelled."""
        try:
            return await self._ended(line)
        except MotoolsError as error:
            return [Outcome(line, False, f"not cancelled: {error}")]
        except Exception as error:  # noqa: BLE001 - such as a full disk; it is reported
            said = f"may not be cancelled: {type(error).__name__}: {error}"
            return [Outcome(line, False, said)]

    async def _ended(self, line: JobLine) -> list[Outcome]:
        if line.backend == CLUSTER:
            over, said = await asyncio.to_thread(cancel_job, line.key, self.project)
            return [Outcome(line, over, said)]
        if line.ended:
            return [Outcome(line, True, f"had ended before: {line.state}")]
        if line.state == DAMAGED:
            return [Outcome(line, False, line.message)]
        paid = self._state(line.key)
        if not line.id and paid and paid.phase == "parked":
            self._remember(line, paid)  # a run that waits for the time sends nothing
            return [Outcome(line, True, "was parked, and is not sent any more")]
        if not line.id and paid is None:  # the ledger has the intent's nonces, too
            paid = self._told(line.key)
        provider, job = self._provider(line, paid)
        if line.id:
            return [await self._cancel(provider, job, line, paid)]
        if paid is None:
            return [Outcome(line, False, MEANWHILE)]
        asked = time.time()  # before the request: a slow response may show an old list
        found = await provider.find(job)
        own = [one for one in found if one.nonce and one.nonce in paid.nonces]
        if own:
            lines = [replace(line, id=one.id) for one in own]
            return [await self._cancel(provider, job, it, paid) for it in lines]
        return [self._unanswered(line, paid, asked)]

    def _state(self, key: str) -> Paid | None:
        try:
            return self.project.store.states.paid(key)
        except ArtifactError:  # the file is damaged, but the ledger has the job, too
            return None

    def _told(self, key: str) -> Paid | None:
        """The state of a request as a run takes it: from the state file, or from the
        ledger if there is none. None if the file is damaged."""
        store = self.project.store
        try:
            return store.states.paid(key) or paid_of(store.ledger.of(key))
        except ArtifactError:
            return None

    def _unanswered(self, line: JobLine, paid: Paid, asked: float) -> Outcome:
        """The outcome of a request whose answer was lost and whose job was not in the
        provider's lists at the time `asked`. The job may still appear within the settle
        time, or while a run has the stage's lock; after that, the request never reached
        the provider."""
        age = asked - paid.since
        left = self.project.settle - age
        if left > 0 or self.project.store.locks.taken(line.key):
            return Outcome(
                line,
                False,
                f"was sent {spoken(max(age, 0))} ago, and its answer is not known: it "
                "does not show at the provider yet, and may still appear; again in "
                f"{max(left, 1):.0f} s: doit cancel {line.key[:8]}",
            )
        if not self._remember(line, paid):
            return Outcome(line, False, MEANWHILE)
        return Outcome(line, True, "never reached the provider")

    async def _cancel(
        self, provider: Provider, job: StageJob, line: JobLine, paid: Paid | None
    ) -> Outcome:
        try:
            await provider.cancel(line.id)
        except Refused as refused:
            told = await provider.poll(job, line.id)
            if told.status in ("succeeded", "failed"):
                return Outcome(line, True, f"had ended before: {told.status}")
            if told.status == "gone":
                return Outcome(
                    line,
                    False,
                    f"account {line.account} sees no such job: is it another "
                    "organization's or project's now? (pyproject.toml)",
                )
            if told.status != "cancelled":
                raise refused
        self._remember(line, paid)
        return Outcome(line, True, "cancelled")

    def _remember(self, line: JobLine, paid: Paid | None) -> bool:
        """Note the cancellation in the ledger and in the state file. Returns whether
        the state file was written: not if a run has the stage's lock, or has gone on
        since `paid` was read. A run learns of the cancellation from the provider."""
        store = self.project.store
        # the state file may be lost, or be about another attempt than this job's
        own = paid if paid and _tells_of(paid, line) else None
        told = own or _paid(line)
        over = replace(told, phase="cancelled", id=line.id, since=time.time())
        if line.id:
            store.ledger.note(entry_of(Key(line.key), over, "cancelled"))
        if not store.locks.take(line.key):
            return False
        try:
            same = own is not None and own == self._told(line.key)
            if same:
                store.states.save_paid(line.key, over)
        finally:
            store.locks.drop(line.key)
        return same

    def _provider(self, line: JobLine, paid: Paid | None) -> tuple[Provider, StageJob]:
        """The provider of a job, and the job as backends take it. Raises AccountError
        if the account is at another server now, or has no key."""
        account = self._account(line.account)
        if account.identity != line.backend:
            variable = facts_of(account.provider).url_variable
            raise AccountError(
                f"account {line.account} is at {account.identity} now "
                f"({account.place}), and this job is at {line.backend}: give the "
                f"account that {'base URL' if account.base_url else 'service'} again "
                f"({variable}{', or base_url in ' * bool(variable)}pyproject.toml)"
            )
        account.key()
        name = line.backend
        if name not in self._backends:
            self._backends[name] = registry.get(name, self.project.prices)
        job = StageJob(
            kind="model",
            backend=name,
            key=line.key,
            name=line.stage,
            params=None,
            work="",
            account=account,
            made_of=paid.made_of if paid else "",
        )
        return self._backends[name].provider(job), job

    def _account(self, name: str) -> Account:
        """The account of that name. Only its own declaration is checked, because a
        mistake in another account must not prevent an emergency stop."""
        declared = self.project.config.accounts
        only = {name: declared[name]} if name in declared else declared
        return Accounts(only, os.environ)[name]


def _tells_of(paid: Paid, line: JobLine) -> bool:
    return paid.id == line.id or (not paid.id and paid.attempt == line.attempt)


def _paid(line: JobLine) -> Paid:
    return Paid(
        phase="bound",
        stage=line.stage,
        kind="model",
        backend=line.backend,
        account=line.account,
        attempt=line.attempt,
    )
