"""The exchange with a provider: questions that may get no answer for a while, and what
this folder writes down of the answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from motools_build.backends.provider import SILENCE, Found
from motools_build.errors import Deferred, GivenUp, RateLimited, Refused, Unreachable
from motools_build.keys import Key
from motools_build.running import effects
from motools_build.running.effects import Effect, entry_of
from motools_build.store.ledger import Ledger
from motools_build.store.records import Paid
from motools_build.store.state import States

T = TypeVar("T")

PATIENCE = 3600.0
"""Seconds that a run waits where it is told to come later, for a parked job or after
429s; beyond, it is left to a later run."""


class Exchange:
    """What all steps of the payment state machine ask and write through. Every wait in
    it ends in an answer or an error."""

    def __init__(
        self,
        states: States,
        ledger: Ledger,
        *,
        settle: float,
        wait: bool,
        clock: Callable[[], float],
    ) -> None:
        self.states = states
        self.ledger = ledger
        self.settle_time = settle
        """Seconds after which a provider's list shows all that was made there."""
        self.wait = wait
        """Whether the run waits for jobs, or leaves them to the next one."""
        self.now = clock
        """The present, in seconds since the epoch."""

    async def ask(
        self,
        effect: Effect,
        paid: Paid,
        question: Callable[[], Awaitable[T]],
        most: float = SILENCE,
    ) -> T:
        """The answer, though the network is down for a while: jobs run on meanwhile.

        Raises GivenUp after so many seconds, Deferred at once if nobody waits.
        """
        began = None
        while True:
            try:
                return await self._answer(effect, question)
            except Unreachable as error:
                what = paid.id or "nothing was sent"
                if not self.wait:
                    raise Deferred(
                        f"{what}: {error}; run again", under_way=bool(paid.id)
                    ) from error
                began = began or time.monotonic()
                if time.monotonic() - began >= most:
                    raise GivenUp(
                        f"account {effect.account}: {error} (asked for {most:g} s; "
                        "what is under way there goes on: run again)"
                    ) from error
                effect.say(f"{error}; asks again")
                await asyncio.sleep(max(0.1, min(self.settle_time, most / 10, 10)))

    async def _answer(self, effect: Effect, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question, asked again while it is only too early."""
        began = time.monotonic()
        while True:
            try:
                return await question()
            except RateLimited as error:
                if time.monotonic() - began >= PATIENCE:
                    raise Refused(
                        f"account {effect.account}: {error}, for an hour; what is "
                        "under way there goes on: run again later"
                    ) from error
                effect.say(f"{error}; again in {error.seconds:.0f} s")
                await asyncio.sleep(error.seconds)

    async def pause(self, left: float) -> None:
        """Wait before the next look at what is decided in so many seconds."""
        await asyncio.sleep(min(left + 0.01, max(self.settle_time / 10, 0.1)))

    async def save(self, effect: Effect, paid: Paid) -> None:
        await asyncio.to_thread(self.states.save_paid, effect.job.key, paid)

    async def note(self, effect: Effect, paid: Paid, event: Any, **more: Any) -> None:
        entry = entry_of(Key(effect.job.key), paid, event, **more)
        await asyncio.to_thread(self.ledger.note, entry)

    async def adopt(self, effect: Effect, paid: Paid, found: Found) -> Paid:
        """Take up what is there: an earlier process's, another folder's, or one's own
        whose answer got lost."""
        # it may have settled long ago, unless a request of this folder is under way
        last = paid.since if paid.nonces else 0.0
        return await self.bind(
            effect,
            replace(paid, attempt=found.attempt),
            found.id,
            since=min(max(found.created, last), self.now()),
            adopted=found.nonce not in paid.nonces,
        )

    async def bind(
        self,
        effect: Effect,
        paid: Paid,
        id: str,
        *,
        since: float,
        adopted: bool = False,
    ) -> Paid:
        """Write down the ID of what a provider makes: into the ledger, then into the
        state file. From here on it is polled, and nothing is sent for it again."""
        bound = replace(
            paid,
            phase="bound",
            id=id,
            adopted=adopted,
            since=since,
            message="",
            made_of=effect.made_of,
            missing=0.0,
        )
        await self.note(effect, bound, "bound", cost=effect.reserved or None)
        effects.passing("between ledger and state")
        await self.save(effect, bound)
        effects.passing("after bind")
        return bound
