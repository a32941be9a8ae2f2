"""Slots: the limit on an account's unfinished jobs (concurrent_jobs)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from motools_build.errors import Deferred


class Slots:
    """At most `limit` unfinished jobs of an account at a time."""

    def __init__(self, account: str, limit: int) -> None:
        self._account = account
        self._limit = limit
        self._taken = 0
        self._left = 0
        """Slots of jobs that run on at the provider without this run waiting for
        them."""
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def turn(self, *, bound: bool, wait: bool) -> AsyncIterator[None]:
        """Holds a slot until the job has ended. A job that is deferred while it runs on
        at the provider keeps its slot.

        A `bound` job was sent by an earlier run, and takes a slot even if none is free.
        Others wait for a free slot. With `wait` false they wait only while this run
        still looks at some of the jobs, as those may have ended; it raises Deferred
        once jobs that run on hold all slots.
        """
        while not bound and self._taken >= self._limit:
            if not wait and self._left >= self._limit:
                raise Deferred(
                    f"account {self._account} has {self._limit} unfinished jobs "
                    "(concurrent_jobs); run again when one has ended"
                )
            self._moved.clear()
            await self._moved.wait()
        self._taken += 1
        try:
            yield
        except Deferred as deferred:
            self._end(kept=deferred.under_way)
            raise
        except BaseException:
            self._end()
            raise
        self._end()

    def _end(self, *, kept: bool = False) -> None:
        if kept:
            self._left += 1
        else:
            self._taken -= 1
        self._moved.set()
