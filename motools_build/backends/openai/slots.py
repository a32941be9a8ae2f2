"""The turns of an account that allows so many unfinished jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from motools_build.errors import Deferred


class Slots:
    """So many unfinished jobs at once."""

    def __init__(self, account: str, limit: int) -> None:
        self._account = account
        self._limit = limit
        self._taken = 0
        self._left = 0
        """Taken by jobs that run on alone: nobody of this run waits for them."""
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def turn(self, *, bound: bool, wait: bool) -> AsyncIterator[None]:
        """A slot until the job has ended; kept by one that runs on alone.

        A `bound` job has one already, of an earlier run. Who does not `wait` for jobs
        still waits for those that this run looks at: they may have ended. Deferred is
        raised once all slots are those of jobs that run on.
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
