"""From a job's ID to its end: poll, elect among machines, collect or remember."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from motools_build import effects
from motools_build.backends.base import BY_HAND, Found, Made, Standing
from motools_build.effects import ENDED, Effect, elected, elsewhere, ended, entry_of
from motools_build.errors import (
    Deferred,
    JobFailed,
    RateLimited,
    Refused,
    Unreachable,
)
from motools_build.keys import Key
from motools_build.records import Paid
from motools_build.state import Ledger, States

T = TypeVar("T")


class Settling:
    """The second half of the state machine; the first is `pay_once.PayOnce`."""

    def __init__(
        self,
        states: States,
        ledger: Ledger,
        *,
        settle: float,
        wait: bool,
        clock: Callable[[], float],
    ) -> None:
        self._states = states
        self._ledger = ledger
        self._settle = settle
        self._wait = wait
        self._clock = clock

    async def _settled(self, effect: Effect, paid: Paid) -> Made:
        """Poll to the end; elect among machines once the lists must show all."""
        # what was named by hand competes with nobody
        decided = not effect.elects or paid.id.startswith(BY_HAND)
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
                effects.passing("before collecting")
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
        effects.passing("before the record")
        details = {**made.details, "attempt": paid.attempt, "adopted": paid.adopted}
        return replace(made, details=details)

    async def _elect(self, effect: Effect, paid: Paid) -> Found | None:
        """The earliest job of key and attempt; one's own others are cancelled."""
        found = await self._patiently(
            effect, paid, lambda: effect.provider.find(effect.job)
        )
        winner = elected(found, paid.attempt)
        told = self._ledger.of(effect.job.key)
        over = {entry.id for entry in told if entry.event != "bound"}
        # where the state is lost, and the nonces with it, the ledger knows one's own
        made = {e.id for e in told if e.event == "bound" and not e.adopted}
        for job in found:
            own = job.nonce in paid.nonces or job.id in made
            alike = job.attempt == paid.attempt and job.id not in over
            if winner and own and alike and job.id != winner.id:
                effect.say(f"{winner.id} came first; cancels its own {job.id}")
                effects.passing("before giving way")
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
        if not effect.provider.charges:
            await self._save(effect, effect.blank(self._clock()))
            return Refused(f"{paid.id} {ENDED[phase]}: {told.message}")
        over = replace(paid, phase=phase, message=told.message, since=self._clock())
        await self._note(effect, over, phase, message=told.message)
        await self._save(effect, over)
        return ended(over)

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
            paid,
            phase="bound",
            id=id,
            adopted=adopted,
            since=since,
            message="",
            made_of=effect.made_of,
        )
        await self._note(effect, bound, "bound", cost=effect.reserved or None)
        effects.passing("between ledger and state")
        await self._save(effect, bound)
        effects.passing("after bind")
        return bound

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
