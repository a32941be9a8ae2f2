"""Never pay twice: intent, adopt, bind, settle, elect.

    ABSENT -find-> BOUND                  always look at the provider before paying
    ABSENT -> INTENT (on the disk) -> one request -> BOUND (on the disk)
    INTENT after a death: find until the settle time has passed, only then ask again
    BOUND -> poll -> artifact | failed | cancelled
    BOUND -> a 404, and another after the settle time, and not in the list -> gone

The caller holds the key's lock. A definite refusal leads back to ABSENT. If a response
is lost, the state stays INTENT: the provider is searched for the job before a request
is sent again. Two folders without a common lock converge: once the settle time has
passed, the earliest job of a key and attempt wins, and each folder cancels only jobs
that it submitted itself.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from motools_build.backends.job import Made, Report, StageJob
from motools_build.backends.provider import SILENCE, Found, Provider
from motools_build.errors import (
    Ambiguous,
    ArtifactError,
    Deferred,
    Parked,
    RateLimited,
    Refused,
)
from motools_build.running import effects
from motools_build.running.budget import DAY, Budget
from motools_build.running.claiming import Claiming
from motools_build.running.effects import (
    ENDED,
    Effect,
    attempt_of,
    elected,
    elsewhere,
    ended,
    of_other_rows,
    paid_of,
)
from motools_build.running.exchange import PATIENCE, Exchange
from motools_build.running.reservations import Reservations
from motools_build.running.settling import Settlement
from motools_build.running.stops import Stops
from motools_build.store.ledger import Ledger
from motools_build.store.records import Paid
from motools_build.store.shared.claims import Claim
from motools_build.store.state import UNFINISHED, States

ATTEMPTS_LOST = 5
"""Number of lost responses in a row after which a run gives up on a stage."""

SOON = 60.0
"""Longest wait after a 429, in seconds, in a run that does not wait for jobs."""


class PayOnce:
    """The state machine for all paid effects of a run: from nothing to a result that is
    paid for at most once."""

    def __init__(
        self,
        states: States,
        ledger: Ledger,
        *,
        settle: float,
        budget: Budget | None = None,
        stops: Stops | None = None,
        wait: bool = True,
        claiming: Claiming | None = None,
        clock: Callable[[], float] = time.time,
        forbidden: Callable[[str, str], None] = lambda name, key: None,
    ) -> None:
        """`forbidden`, given a job's name and key, raises if it must not be sent."""
        self._forbidden = forbidden
        self._exchange = Exchange(states, ledger, settle=settle, wait=wait, clock=clock)
        self._settlement = Settlement(self._exchange)
        self._claiming = claiming or Claiming(None, states, settle, wait)
        self.reservations = Reservations(ledger, budget, stops)

    @property
    def duplicates(self) -> dict[str, str]:
        """Job ID -> message for the end of the run, of jobs that were paid for twice
        and could not be cancelled."""
        return self._settlement.duplicates

    async def make(self, job: StageJob, provider: Provider, report: Report) -> Made:
        """The result of a paid job, which is submitted at most once.

        Raises JobFailed, Refused or OverBudget; Deferred if it is left to a later run.
        """
        effect = Effect(job, provider, report)
        paid = await self._known(effect)
        if paid.phase != "bound":
            self._forbidden(job.name, job.key)
        if paid.phase == "gone":  # a 404 may be temporary: poll the job again
            paid = replace(paid, phase="bound", missing=paid.missing or paid.since)
        if paid.phase in ENDED:
            raise ended(paid)
        if paid.phase == "intent" and paid.account != effect.account:
            raise elsewhere(paid, effect)
        bound = paid.phase == "bound"
        if not bound and job.account and job.account.concurrent_jobs:
            effect.say("waits for its turn")
        async with provider.turn(job, bound=bound, wait=self._exchange.wait):
            paid, fresh = await self._bound(effect, paid)
            await self._claiming.publish(effect, paid)
            if fresh and provider.charges and not self._exchange.wait:
                raise Deferred(
                    f"submitted as {paid.id}, and not awaited; run again",
                    under_way=True,
                )
            return await self._settlement.settle(effect, paid)

    async def is_there(self, job: StageJob, provider: Provider, id: str) -> bool:
        """Whether an uploaded file or a job with this ID still exists at the provider,
        and succeeded."""
        effect = Effect(job, provider, lambda progress: None)
        paid = effect.blank(self._exchange.now())
        told = await self._exchange.ask(
            effect, paid, partial(effect.poll, id), most=self._exchange.settle_time
        )
        return told.status == "succeeded"

    # ---- until the job's ID is known

    async def _known(self, effect: Effect) -> Paid:
        """The state that this folder knows: from the state file, else the ledger, else
        blank. Raises JobFailed if a job for other rows of a teacher is in progress."""
        paid = self._exchange.states.paid(effect.job.key)
        blank = effect.blank(self._exchange.now())
        paid = paid or self._told_by_ledger(effect) or blank
        # the clock may have been set back since: no time may be in the future
        paid = replace(paid, since=min(paid.since, self._exchange.now()))
        if paid.phase in ("absent", "parked") and paid.account != effect.account:
            paid = replace(paid, phase="absent", account=effect.account)
        if paid.phase == "bound" and not effect.provider.charges:
            # a file that is gone is uploaded again, which is free
            told = await self._exchange.ask(
                effect,
                paid,
                partial(effect.poll, paid.id),
                most=self._exchange.settle_time,
            )
            if told.status == "gone":
                # a 404 may be temporary: while the list may not show the file yet, it
                # is searched for, as after a lost response
                if paid.since + self._exchange.settle_time > self._exchange.now():
                    blank = replace(blank, phase="intent", since=paid.since)
                return replace(blank, attempt=paid.attempt)
        if paid.phase in UNFINISHED and paid.made_of != effect.made_of:
            if effect.provider.charges:
                raise of_other_rows(paid)
            return replace(blank, attempt=paid.attempt)
        return paid

    def _told_by_ledger(self, effect: Effect) -> Paid | None:
        """The state from the ledger; None if it has no job or request. A job with an ID
        counts as bound, so that it is polled again even if it has ended."""
        told = paid_of(self._exchange.ledger.of(effect.job.key))
        if told is None:
            return None
        told = replace(told, stage=effect.job.name)
        return replace(told, phase="bound", adopted=True) if told.id else told

    async def _bound(self, effect: Effect, paid: Paid) -> tuple[Paid, bool]:
        """The state with a job's ID, and whether the job was submitted just now."""
        lost, began = 0, time.monotonic()
        while paid.phase != "bound":
            if paid.phase == "parked":
                paid = replace(paid, until=min(paid.since + DAY, paid.until))
            if paid.phase == "parked" and paid.until > self._exchange.now():
                await self._exchange.stay_parked(effect, paid)
            found = await self._look(effect, paid)
            if found:
                return await self._exchange.adopt(effect, paid, found), False
            if time.monotonic() - began >= PATIENCE and paid.phase == "absent":
                raise Deferred(f"{paid.message}, for an hour; run again later")
            turn = await self._claiming.turn(effect, paid)
            if isinstance(turn, Claim):
                return await self._exchange.take_up(effect, paid, turn.id), False
            before = paid
            paid = await self._submit(effect, paid) if turn else paid
            if paid is before:  # search the provider again, before paying
                continue
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
        """Search the provider for the job before paying. After a lost response, search
        until the settle time has passed. None if there is no such job."""
        while True:
            # computed before the request: a slow response may show an old list
            left = paid.since + self._exchange.settle_time - self._exchange.now()
            found = await self._exchange.ask(
                effect,
                paid,
                lambda: effect.provider.find(effect.job),
                most=min(self._exchange.settle_time, SILENCE),
            )
            chosen = elected(found, attempt_of(paid, found))
            if chosen or paid.phase != "intent" or left < 0:
                return chosen
            if not self._exchange.wait:
                raise Deferred(
                    "it is not known whether the last request went through; a run "
                    f"after {left:.0f} s more decides",
                    under_way=True,
                )
            effect.say(
                "it is not known whether the last request went through; "
                f"looks for {left:.0f} s more"
            )
            await self._exchange.pause(left)

    async def _submit(self, effect: Effect, paid: Paid) -> Paid:
        """Send one request, and return the new state: bound after a response, intent if
        the response was lost, absent after a 429, parked after a daily limit. Raises
        Refused, OverBudget, ArtifactError, or Deferred after a long 429."""
        job, provider = effect.job, effect.provider
        nonce, at = secrets.token_hex(8), self._exchange.now()
        nonces = (*paid.nonces, nonce)
        intent = replace(paid, phase="intent", nonces=nonces, message="")
        intent = replace(intent, made_of=effect.made_of)
        try:
            async with provider.sending(job):
                at = self._exchange.now()
                try:
                    self.reservations.reserve(effect, replace(intent, since=at))
                except Parked as error:  # not saved: the user may raise the limit
                    return replace(
                        paid, phase="parked", until=error.until, message=str(error)
                    )
                if not await self._claiming.take(effect, paid, nonce):
                    self.reservations.give_back(effect, replace(intent, since=at))
                    return paid
                effects.passing("before intent")
                await self._exchange.note(effect, intent, "intent", nonce=nonce)
                # the settle time begins with the request, so take the time last
                intent = replace(intent, since=self._exchange.now())
                await self._exchange.save(effect, intent)
                effects.passing("after intent")
                self._claiming.check(effect, paid)
                id = await provider.submit(job, intent.attempt, nonce)
        except Ambiguous as error:
            effects.passing("after a lost answer")
            effect.say(f"{error}; looks whether it went through")
            # the request may have taken effect at any time until now
            paid = replace(intent, since=self._exchange.now(), message=str(error))
        except RateLimited as error:
            await self._take_back(effect, replace(intent, since=at))
            if not self._exchange.wait and error.seconds > SOON:
                raise Deferred(
                    f"{error}; nothing was sent: run again in {error.seconds:.0f} s"
                ) from error
            effect.say(f"{error}; again in {error.seconds:.0f} s")
            paid = replace(intent, phase="absent", message=str(error))
            await asyncio.sleep(error.seconds)
            return paid
        except Parked as error:
            await self._take_back(effect, replace(intent, since=at))
            paid = replace(
                intent, phase="parked", until=error.until, message=str(error)
            )
        except (Refused, ArtifactError):  # ArtifactError: nothing was sent yet
            await self._take_back(effect, replace(intent, since=at))
            raise
        else:
            effects.passing("after the answer")
            return await self._exchange.bind(
                effect, intent, id, since=self._exchange.now()
            )
        await self._exchange.save(effect, paid)
        return paid

    async def _take_back(self, effect: Effect, intent: Paid) -> None:
        """Undo an intent whose request certainly made nothing: return its reservations,
        and note the refusal."""
        self.reservations.give_back(effect, intent)
        await self._exchange.note(effect, intent, "refused", nonce=intent.nonces[-1])
        await self._exchange.save(effect, replace(intent, phase="absent"))
        await self._claiming.release(effect, intent)
