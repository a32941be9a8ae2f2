"""Requests to a provider with retries, and the record of their responses in the ledger
and the state file."""

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
"""Longest time that a run waits for a parked job or for 429s to end, in seconds. After
that, the stage is left to a later run."""


class Exchange:
    """The interface of the payment state machine to the provider, the ledger and the
    state files. Every wait in it is limited, and ends in a response or an error."""

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
        """Seconds after which a provider's list shows every job made there."""
        self.wait = wait
        """Whether the run waits for jobs; if not, they are left to a later run."""
        self.now = clock
        """Function that returns the present time in seconds since the epoch."""

    async def ask(
        self,
        effect: Effect,
        paid: Paid,
        question: Callable[[], Awaitable[T]],
        most: float = SILENCE,
    ) -> T:
        """The response to a request that can be repeated safely, retried while the
        network is down: jobs continue meanwhile.

        Raises GivenUp after `most` seconds without a response; Deferred at once if the
        run does not wait for jobs; Refused if 429s do not end.
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
        """The response to a request, retried after each 429. Raises Refused if 429s do
        not end within PATIENCE."""
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
        """Sleep until the next look at something that is decided in `left` seconds."""
        await asyncio.sleep(min(left + 0.01, max(self.settle_time / 10, 0.1)))

    async def stay_parked(self, effect: Effect, paid: Paid) -> None:
        """Wait until the time that the provider named. Raises Deferred if the run does
        not wait for jobs, or if that is too far off."""
        left = paid.until - self.now()
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(paid.until))
        if not self.wait or left > PATIENCE:
            raise Deferred(f"parked until {when}: {paid.message}; run again then")
        effect.say(f"parked until {when}: {paid.message}")
        await asyncio.sleep(left)

    async def save(self, effect: Effect, paid: Paid) -> None:
        """Write the state file."""
        await asyncio.to_thread(self.states.save_paid, effect.job.key, paid)

    async def note(self, effect: Effect, paid: Paid, event: Any, **more: Any) -> None:
        """Append a line to the ledger."""
        entry = entry_of(Key(effect.job.key), paid, event, **more)
        await asyncio.to_thread(self.ledger.note, entry)

    async def adopt(self, effect: Effect, paid: Paid, found: Found) -> Paid:
        """Take over a job found at the provider, and return the new state. It may come
        from an earlier process, from another folder, or from an own request whose
        response was lost."""
        # the settle time runs from the job's creation, or from this folder's last
        # request if there was one and it is later
        last = paid.since if paid.nonces else 0.0
        return await self.bind(
            effect,
            replace(paid, attempt=found.attempt),
            found.id,
            since=min(max(found.created, last), self.now()),
            adopted=found.nonce not in paid.nonces,
        )

    async def take_up(self, effect: Effect, paid: Paid, id: str) -> Paid:
        """Take over the job that another machine's claim tells, and return the new
        state."""
        return await self.bind(effect, paid, id, since=self.now(), adopted=True)

    async def bind(
        self,
        effect: Effect,
        paid: Paid,
        id: str,
        *,
        since: float,
        adopted: bool = False,
    ) -> Paid:
        """Write the ID of a job to the ledger and then to the state file, and return
        the new state. From now on the job is polled, and never submitted again."""
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
        await self.note(effect, bound, "bound", cost=await _cost(effect))
        effects.passing("between ledger and state")
        await self.save(effect, bound)
        effects.passing("after bind")
        return bound


async def _cost(effect: Effect) -> float | None:
    """USD of a job that was found or sent: what was reserved for it. A job that an
    earlier run sent has nothing reserved, and yet counts under a monthly budget."""
    account = effect.job.account
    if effect.reserved is not None or not effect.provider.charges:
        return effect.reserved or None
    if account is None or account.month_budget is None:
        return None
    return await asyncio.to_thread(effect.provider.cost, effect.job)
