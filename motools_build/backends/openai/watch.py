"""Many jobs in flight, followed by a few list requests a round."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from motools_build.backends.openai.desk import Desk, Shared
from motools_build.backends.openai.files import is_gone
from motools_build.errors import MotoolsError, Refused

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

TAG = {"motools": "1"}
"""Metadata of every job of ours; a listing asks for it, and it is checked again here,
as not every server filters."""

PAGE = 100
"""Jobs a page; the API's most."""

SPARE_PAGES = 5
"""Pages beyond what the jobs in flight fill; what they lack is asked for singly."""

SINGLY = 50
"""Jobs that are asked for one by one in a round."""

FEW = 3
"""Jobs that are asked for one by one from the start."""

SOONEST, LATEST = 0.2, 60.0
"""Seconds between two rounds."""

SHARE = 0.1
"""Of its age, that a job's end may be seen late."""

IDLE = 4
"""A round begins no sooner than so many times as long as the last one took."""


class Watch:
    """All jobs of an account that someone waits for; a round asks for them together."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[str, asyncio.Future[FineTuningJob | None]] = {}
        self._since: dict[str, float] = {}
        self._rounds: asyncio.Task[None] | None = None
        self._took = 0.0
        self._ended = 0.0
        self.everything = Shared(self._list_all)
        """Every job of ours at the account."""

    @property
    def size(self) -> int:
        """Jobs that are waited for, and have not ended."""
        return len(self._since)

    async def job(self, id: str) -> FineTuningJob | None:
        """The job, as the next round shows it; None if the server does not know it."""
        loop = asyncio.get_running_loop()
        if id not in self._waiting:
            self._waiting[id] = loop.create_future()
            self._since.setdefault(id, time.monotonic())
        future = self._waiting[id]
        if self._rounds is None or self._rounds.done():
            self._rounds = loop.create_task(self._go_round())
        return await asyncio.shield(future)

    async def _go_round(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._pause())
            began = time.monotonic()
            wanted = dict(self._waiting)
            try:
                found = await self._look(set(wanted))
            except MotoolsError as error:
                for id, future in wanted.items():
                    self._answer(id, future, error)
            else:
                for id, job in found.items():
                    self._answer(id, wanted[id], job)
            self._ended = time.monotonic()
            self._took = self._ended - began

    def _answer(
        self,
        id: str,
        future: asyncio.Future[FineTuningJob | None],
        answer: FineTuningJob | MotoolsError | None,
    ) -> None:
        self._waiting.pop(id, None)
        if isinstance(answer, MotoolsError):
            future.set_exception(answer)
            future.exception()  # whoever waited may be gone
            return
        if answer is None or answer.status in ("succeeded", "failed", "cancelled"):
            self._since.pop(id, None)
        future.set_result(answer)

    def _pause(self) -> float:
        """A tenth of the youngest job's age: an end is seen late by so much at most."""
        at = time.monotonic()
        youngest = min(at - self._since[id] for id in self._waiting)
        gap = max(SOONEST, IDLE * self._took, min(LATEST, SHARE * youngest))
        return max(0.02, self._ended + gap - at)

    async def _look(self, wanted: set[str]) -> dict[str, FineTuningJob | None]:
        """A round: pages until all are seen, then singly what the pages left out."""
        found: dict[str, FineTuningJob | None] = {}
        pages = len(wanted) // PAGE + SPARE_PAGES if len(wanted) > FEW else 0
        after = None
        for _ in range(pages):
            jobs, after = await self._page(after)
            found.update((job.id, job) for job in jobs if job.id in wanted)
            if len(found) == len(wanted) or after is None:
                break
        for id in sorted(wanted - found.keys())[:SINGLY]:
            found[id] = await self._one(id)
        return found

    async def _one(self, id: str) -> FineTuningJob | None:
        try:
            return await self._desk.ask(
                lambda client: client.fine_tuning.jobs.retrieve(id)
            )
        except Refused as error:
            if is_gone(error):
                return None
            raise

    async def _list_all(self) -> list[FineTuningJob]:
        jobs, after = await self._page(None)
        while after is not None:
            more, after = await self._page(after)
            jobs += more
        return jobs

    async def _page(self, after: str | None) -> tuple[list[FineTuningJob], str | None]:
        """A page of our jobs, and where the next one begins; None at the end."""
        from openai import omit

        page = await self._desk.ask(
            lambda client: client.fine_tuning.jobs.list(
                limit=PAGE, metadata=TAG, after=after or omit
            )
        )
        ours = [job for job in page.data if TAG.items() <= (job.metadata or {}).items()]
        last = page.data[-1].id if page.data else None
        return ours, last if page.has_more and last != after else None
