"""Never pay twice: intent, adopt, bind, settle, elect.

    ABSENT -find-> BOUND                  always look at the provider before paying
    ABSENT -> INTENT (on the disk) -> one request -> BOUND (on the disk)
    INTENT after a death: find until the settle time has passed, only then ask again
    BOUND -> poll -> artifact | failed | cancelled | gone

The caller holds the key's lock. A definite refusal leads back to ABSENT; an answer
that got lost leaves INTENT, which is reconciled and never blindly sent again. Two
folders without a common lock converge: once the settle time has passed, the earliest
job of a key and attempt wins, and each folder cancels only what it made itself.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from motools_build.backends.base import (
    BY_HAND,
    Found,
    Job,
    Made,
    Provider,
    Report,
    Standing,
)
from motools_build.effects import (
    ENDED,
    Effect,
    attempt_of,
    elected,
    elsewhere,
    ended,
    entry_of,
)
from motools_build.errors import (
    Ambiguous,
    ArtifactError,
    Deferred,
    InputError,
    JobFailed,
    Parked,
    RateLimited,
    Refused,
    Unreachable,
)
from motools_build.keys import Key
from motools_build.records import Paid
from motools_build.spending import Budget, Daily, seconds_of
from motools_build.state import Ledger, States

T = TypeVar("T")

SETTLE_SECONDS = 60.0
"""How long a job may take to show in the provider's lists."""

ATTEMPTS_LOST = 5
"""Answers lost in a row after which a run gives up on a stage."""

PATIENCE = 3600.0
"""Seconds that a run waits for a parked job; beyond, it is left to a later run."""


def passing(point: str) -> None:
    """Named moments of the machine; the crash tests put a death in its place."""


def settle_seconds(declared: float | None) -> float:
    """The settle time: the environment's, else the project's, else a minute.

    Raises InputError if the environment's is no number of seconds.
    """
    given = os.environ.get("MOTOOLS_SETTLE_SECONDS")
    if given is None:
        return SETTLE_SECONDS if declared is None else declared
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise InputError(
            f"MOTOOLS_SETTLE_SECONDS={given}: write a number of seconds, 0 or more"
        )
    return seconds


class PayOnce:
    """The state machine of all paid effects of a run."""

    def __init__(
        self,
        states: States,
        ledger: Ledger,
        *,
        settle: float = SETTLE_SECONDS,
        budget: Budget | None = None,
        wait: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._states = states
        self._ledger = ledger
        self._settle = settle
        self.budget = budget or Budget()
        self._daily = Daily(ledger)
        self._wait = wait
        self._clock = clock

    async def make(self, job: Job, provider: Provider, report: Report) -> Made:
        """What the job made, paid for at most once.

        Raises JobFailed, Refused, OverBudget; Deferred if it is left to a later run.
        """
        effect = Effect(job, provider, report)
        paid = await self._known(effect)
        if paid.phase in ENDED:
            raise ended(paid)
        if paid.phase == "intent" and paid.account != effect.account:
            raise elsewhere(paid, effect)
        bound = paid.phase == "bound"
        if not bound and job.params.get("account", {}).get("concurrent_jobs"):
            effect.say("waits for its turn")
        async with provider.turn(job, bound=bound, wait=self._wait):
            paid, fresh = await self._bound(effect, paid)
            if fresh and provider.elects and not self._wait:
                raise Deferred(
                    f"submitted as {paid.id}, and not awaited; run again",
                    under_way=True,
                )
            return await self._settled(effect, paid)

    async def is_there(self, job: Job, provider: Provider, id: str) -> bool:
        """Whether the provider still has what was made."""
        effect = Effect(job, provider, lambda progress: None)
        told = await self._asked(effect, partial(effect.poll, id))
        return told.status == "succeeded"

    # ---- up to a bound ID

    async def _known(self, effect: Effect) -> Paid:
        """What this folder knows: its state file, else the ledger, else nothing."""
        paid = await asyncio.to_thread(self._states.paid, effect.job.key)
        blank = effect.blank(self._clock())
        if paid is None:
            paid = await self._told_by_ledger(effect, blank)
        paid = replace(paid, since=min(paid.since, self._clock()))  # a clock set back
        if paid.phase in ("absent", "parked") and paid.account != effect.account:
            paid = replace(paid, phase="absent", account=effect.account)
        if paid.phase == "bound" and not effect.provider.elects:
            # a file that is gone is sent again: that costs nothing
            told = await self._asked(effect, lambda: effect.poll(paid.id))
            if told.status == "gone":
                return replace(blank, attempt=paid.attempt)
        return paid

    async def _told_by_ledger(self, effect: Effect, blank: Paid) -> Paid:
        entries = await asyncio.to_thread(self._ledger.of, effect.job.key)
        if not entries:
            return blank
        last = entries[-1]
        known = replace(blank, attempt=last.attempt)
        if not last.id:  # a retry that was asked for
            return known
        since = seconds_of(last.time)
        return replace(known, phase="bound", id=last.id, adopted=True, since=since)

    async def _bound(self, effect: Effect, paid: Paid) -> tuple[Paid, bool]:
        """The state with an ID, and whether it was submitted just now."""
        lost = 0
        while paid.phase != "bound":
            if paid.phase == "parked" and paid.until > self._clock():
                await self._stay_parked(effect, paid)
            found = await self._look(effect, paid)
            if found:
                return await self._adopt(effect, paid, found), False
            paid = await self._submit(effect, paid)
            if paid.phase == "bound":
                return paid, True
            lost = lost + 1 if paid.phase == "intent" else 0
            if lost == ATTEMPTS_LOST:
                raise Refused(
                    f"{paid.message}; {lost} times in a row. Run again later: it looks "
                    "first whether one of them went through"
                )
        return paid, False

    async def _look(self, effect: Effect, paid: Paid) -> Found | None:
        """Look at the provider before paying; after an intent, until it has settled."""
        while True:
            # what is found is as old as the question: the answer may take long
            left = paid.since + self._settle - self._clock()
            found = await self._asked(effect, lambda: effect.provider.find(effect.job))
            chosen = elected(found, attempt_of(paid, found))
            if chosen or paid.phase != "intent" or left < 0:
                return chosen
            effect.say(
                "it is not known whether the last request went through; "
                f"looks for {left:.0f} s more"
            )
            await asyncio.sleep(min(left + 0.01, max(self._settle / 10, 0.1)))

    async def _submit(self, effect: Effect, paid: Paid) -> Paid:
        """One request; bound if it was answered, intent if the answer got lost."""
        job, provider = effect.job, effect.provider
        nonce = secrets.token_hex(8)
        nonces = (*paid.nonces, nonce)
        intent = replace(paid, phase="intent", nonces=nonces, message="")
        try:
            async with provider.sending(job):  # an intent is as old as its request
                intent = replace(intent, since=self._clock())
                self._reserve(effect, intent.since)
                passing("before intent")
                await self._save(effect, intent)
                passing("after intent")
                id = await provider.submit(job, intent.attempt, nonce)
        except Ambiguous as error:
            passing("after a lost answer")
            effect.say(f"{error}; looks whether it went through")
            # it may have gone through as late as now
            paid = replace(intent, since=self._clock(), message=str(error))
        except RateLimited as error:
            self._refund(effect, intent.since)
            effect.say(f"{error}; again in {error.seconds:.0f} s")
            paid = replace(intent, phase="absent")
            await self._save(effect, paid)
            await asyncio.sleep(error.seconds)
            return paid
        except Parked as error:
            self._refund(effect, intent.since)
            paid = replace(
                intent, phase="parked", until=error.until, message=str(error)
            )
        except (Refused, ArtifactError):  # the latter before anything was sent
            self._refund(effect, intent.since)
            await self._save(effect, replace(intent, phase="absent"))
            raise
        else:
            passing("after the answer")
            return await self._bind(effect, intent, id, since=self._clock())
        await self._save(effect, paid)
        return paid

    async def _adopt(self, effect: Effect, paid: Paid, found: Found) -> Paid:
        """Take up what is there: an earlier process's, another folder's, or one's own
        whose answer got lost."""
        # it may have settled long ago, unless a request of this folder is under way
        last = paid.since if paid.nonces else 0.0
        return await self._bind(
            effect,
            replace(paid, attempt=found.attempt),
            found.id,
            since=min(max(found.created, last), self._clock()),
            adopted=found.nonce not in paid.nonces,
        )

    async def _bind(
        self,
        effect: Effect,
        paid: Paid,
        id: str,
        *,
        since: float,
        adopted: bool = False,
    ) -> Paid:
        bound = replace(
            paid, phase="bound", id=id, adopted=adopted, since=since, message=""
        )
        await self._note(effect, bound, "bound")
        passing("between ledger and state")
        await self._save(effect, bound)
        passing("after bind")
        return bound

    async def _stay_parked(self, effect: Effect, paid: Paid) -> None:
        """Wait until the time that the provider named, or leave it to a later run."""
        left = paid.until - self._clock()
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(paid.until))
        if not self._wait or left > PATIENCE:
            raise Deferred(f"parked until {when}: {paid.message}; run again then")
        effect.say(f"parked until {when}: {paid.message}")
        await asyncio.sleep(left)

    # ---- from a bound ID to the end

    async def _settled(self, effect: Effect, paid: Paid) -> Made:
        """Poll to the end; elect among machines once the lists must show all."""
        # what was named by hand competes with nobody
        decided = not effect.provider.elects or paid.id.startswith(BY_HAND)
        while True:
            told = await self._patiently(effect, paid, partial(effect.poll, paid.id))
            left = paid.since + self._settle - self._clock()
            if (left <= 0 and not decided) or told.status == "cancelled":
                winner = await self._elect(effect, paid)
                if winner and winner.id != paid.id:
                    paid = await self._adopt(effect, paid, winner)
                    continue
                decided = True
            if told.status == "gone" and paid.account != effect.account:
                raise elsewhere(paid, effect)
            if told.status in ENDED:
                raise await self._end(effect, paid, told)
            if told.status == "succeeded" and decided:
                passing("before collecting")
                return await self._collect(effect, paid)
            if not self._wait:
                raise Deferred(f"{paid.id} is {told.status}; run again", under_way=True)
            if told.status == "succeeded":
                effect.say("done; looks whether another machine made it too")
                await asyncio.sleep(max(0.01, min(left, self._settle)))
            elif told.progress:
                effect.report(told.progress)

    async def _patiently(
        self, effect: Effect, paid: Paid, question: Callable[[], Awaitable[T]]
    ) -> T:
        """The answer, however long the network is down: the job runs on meanwhile."""
        while True:
            try:
                return await self._asked(effect, question)
            except Unreachable as error:
                if not self._wait:
                    raise Deferred(
                        f"{paid.id}: {error}; run again", under_way=True
                    ) from error
                effect.say(f"{error}; asks again")
                await asyncio.sleep(min(self._settle, 10))

    async def _collect(self, effect: Effect, paid: Paid) -> Made:
        made = await self._patiently(
            effect, paid, lambda: effect.provider.collect(effect.job, paid.id)
        )
        cost = made.details.get("cost")
        await self._note(effect, paid, "succeeded", cost=cost)
        passing("before the record")
        details = {**made.details, "attempt": paid.attempt, "adopted": paid.adopted}
        return replace(made, details=details)

    async def _elect(self, effect: Effect, paid: Paid) -> Found | None:
        """The earliest job of key and attempt; one's own others are cancelled."""
        found = await self._patiently(
            effect, paid, lambda: effect.provider.find(effect.job)
        )
        winner = elected(found, paid.attempt)
        told = await asyncio.to_thread(self._ledger.of, effect.job.key)
        over = {entry.id for entry in told if entry.event != "bound"}
        # where the state is lost, and the nonces with it, the ledger knows one's own
        made = {e.id for e in told if e.event == "bound" and not e.adopted}
        for job in found:
            own = job.nonce in paid.nonces or job.id in made
            alike = job.attempt == paid.attempt and job.id not in over
            if winner and own and alike and job.id != winner.id:
                effect.say(f"{winner.id} came first; cancels its own {job.id}")
                passing("before giving way")
                await self._patiently(effect, paid, partial(effect.cancel, job.id))
                stands = await self._patiently(
                    effect, paid, partial(effect.poll, job.id)
                )
                # one that had ended before was charged for, and the ledger must say so
                ended_before = stands.status in ("succeeded", "failed")
                event = stands.status if ended_before else "cancelled"
                message = f"{winner.id} came first"
                loser = replace(paid, id=job.id, adopted=False)
                await self._note(effect, loser, event, message=message)
        return winner

    async def _end(
        self, effect: Effect, paid: Paid, told: Standing
    ) -> JobFailed | Refused:
        """Remember a job's end without a result. A file's is only told: it was free."""
        phase = told.status
        assert phase in ("failed", "cancelled", "gone")
        if not effect.provider.elects:
            await self._save(effect, effect.blank(self._clock()))
            return Refused(f"{paid.id} {ENDED[phase]}: {told.message}")
        over = replace(paid, phase=phase, message=told.message, since=self._clock())
        await self._note(effect, over, phase, message=told.message)
        await self._save(effect, over)
        return ended(over)

    # ---- details

    def _reserve(self, effect: Effect, at: float) -> None:
        """Raises OverBudget, or Parked if the account has had its jobs of the day."""
        limits = effect.job.params.get("account", {})
        if effect.provider.elects:
            self._daily.take(effect.account, limits.get("jobs_a_day"), at)
        if self.budget.limit is not None and effect.reserved is None:
            cost = effect.provider.cost(effect.job)
            effect.reserved = self.budget.reserve(effect.job.name, cost)

    def _refund(self, effect: Effect, at: float) -> None:
        self._daily.give_back(effect.account, at)
        self.budget.reserved -= effect.reserved or 0.0
        effect.reserved = None

    async def _asked(self, effect: Effect, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question, asked again while it is only too early."""
        while True:
            try:
                return await question()
            except RateLimited as error:
                effect.say(f"{error}; again in {error.seconds:.0f} s")
                await asyncio.sleep(error.seconds)

    async def _save(self, effect: Effect, paid: Paid) -> None:
        await asyncio.to_thread(self._states.save_paid, effect.job.key, paid)

    async def _note(self, effect: Effect, paid: Paid, event: Any, **more: Any) -> None:
        entry = entry_of(Key(effect.job.key), paid, event, **more)
        await asyncio.to_thread(self._ledger.note, entry)
