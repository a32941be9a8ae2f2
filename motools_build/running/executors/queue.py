"""A cluster's queue as a run sees it: one listing for all of its jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from motools_build.errors import Refused, Unreachable
from motools_build.running.executors.cluster import Listed

INTERVAL = 2.5
"""Seconds between two listings, whatever the number of jobs: at most 24 a minute."""


@dataclass(frozen=True)
class Seen:
    """The outcome of one listing."""

    jobs: Mapping[str, Listed] = field(default_factory=dict)
    """Nonce -> job."""
    error: str = ""
    """Why there is no listing; empty if there is one."""
    is_silent: bool = False
    """Whether that is because the cluster did not answer at all."""
    silent_for: float = 0.0
    """Seconds since the last listing that succeeded."""


NONE = Seen()
"""What is seen before the first listing."""


class Queue:
    """Lists the user's jobs, again and again, as long as someone waits for that."""

    def __init__(
        self,
        listing: Callable[[], Mapping[str, Listed]],
        label: str,
        interval: float = INTERVAL,
    ) -> None:
        self._label = label
        self._interval = interval
        self._listing = listing
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._answered = time.monotonic()
        self._began = 0
        """The number of listings that have begun."""
        self._ended = 0
        self.latest = NONE

    async def next(self) -> Seen:
        """A listing that begins after this call."""
        wanted = self._began + 1
        self._begin()
        async with self._news:
            await self._news.wait_for(lambda: self._ended >= wanted)
        return self.latest

    async def after(self, seen: Seen, seconds: float) -> Seen:
        """The latest listing, as soon as it is another one than `seen`, or after some
        seconds."""
        self._begin()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: self.latest is not seen)
        return self.latest

    async def silence(self, seconds: float) -> AsyncIterator[Seen]:
        """The listings that the cluster did not answer at all, with at most so many
        seconds between two, until it has answered one."""
        seen = self.latest
        while seen is NONE or seen.is_silent:
            if seen.is_silent:
                yield seen
            seen = await self.after(seen, seconds)

    async def close(self) -> None:
        """List no more."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        if self._task is None:
            self._answered = time.monotonic()
            self._task = asyncio.create_task(self._list())

    async def _list(self) -> None:
        while True:
            began = time.monotonic()
            self._began += 1
            try:
                seen = Seen(await asyncio.to_thread(self._listing))
                self._answered = began
            except Exception as error:  # noqa: BLE001 - whoever waits hears of it
                told = isinstance(error, Unreachable | Refused)
                unread = f"{self._label}'s list of jobs cannot be read ({error!r})"
                said = str(error) if told else unread
                lost = isinstance(error, Unreachable)
                seen = Seen({}, said, lost, silent_for=began - self._answered)
            async with self._news:
                self.latest, self._ended = seen, self._began
                self._news.notify_all()
            await asyncio.sleep(max(0.0, began + self._interval - time.monotonic()))
