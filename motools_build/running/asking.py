"""Questions to a provider that may be silent, and notes of what it answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from motools_build.backends.base import SILENCE
from motools_build.errors import Deferred, GivenUp, RateLimited, Refused, Unreachable
from motools_build.keys import Key
from motools_build.running.effects import Effect, entry_of
from motools_build.store.ledger import Ledger
from motools_build.store.records import Paid
from motools_build.store.state import States

T = TypeVar("T")

PATIENCE = 3600.0
"""Seconds that a run waits where it is told to come later, for a parked job or after
429s; beyond, it is left to a later run."""


class Asking:
    """What both halves of the state machine share. Every wait here ends."""

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
        self.duplicates: dict[str, str] = {}
        """Job's ID -> what to tell of it at the end of the run."""

    async def _patiently(
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
                return await self._asked(effect, question)
            except Unreachable as error:
                what = paid.id or "nothing was sent"
                if not self._wait:
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
                await asyncio.sleep(max(0.1, min(self._settle, most / 10, 10)))

    async def _asked(self, effect: Effect, question: Callable[[], Awaitable[T]]) -> T:
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

    async def _save(self, effect: Effect, paid: Paid) -> None:
        await asyncio.to_thread(self._states.save_paid, effect.job.key, paid)

    async def _note(self, effect: Effect, paid: Paid, event: Any, **more: Any) -> None:
        entry = entry_of(Key(effect.job.key), paid, event, **more)
        await asyncio.to_thread(self._ledger.note, entry)
