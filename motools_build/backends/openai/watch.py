"""Many jobs in flight, followed by a few list requests a round."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from motools_build.backends.openai.desk import Desk, Shared
from motools_build.backends.openai.files import is_gone
from motools_build.backends.openai.paging import Incomplete, pages
from motools_build.errors import MotoolsError, Refused, Unreachable

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

IDLE, LONGEST_REST = 2, 3.0
"""A round begins no sooner than so many times as long as the last one took, but for
so many seconds at most."""


LAST_MOMENT = 1e11
"""Seconds since the epoch, of some year after 5000."""


@dataclass(frozen=True)
class Seen:
    """A job, as the provider last showed it."""

    id: str
    status: str
    """Empty if it names none."""
    created: float
    """NaN if it does not say."""
    metadata: Mapping[str, Any]
    """Empty if there is none: other people's jobs have what they like."""
    raw: Mapping[str, Any]
    """All that the provider says of it."""

    @classmethod
    def of(cls, raw: Any) -> Seen | None:
        """A job, however odd; None if it has no ID."""
        if not isinstance(raw, Mapping) or not isinstance(raw.get("id"), str):
            return None
        status, metadata = raw.get("status"), raw.get("metadata")
        return cls(
            id=raw["id"],
            status=status if isinstance(status, str) else "",
            created=_number(raw.get("created_at")),
            metadata=metadata if isinstance(metadata, Mapping) else {},
            raw=raw,
        )

    @property
    def ours(self) -> bool:
        return all(self.metadata.get(name) == tag for name, tag in TAG.items())


def _number(value: Any) -> float:
    """NaN if it is none, or none that a clock shows."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if 0 <= value < LAST_MOMENT else math.nan


class Watch:
    """All jobs of an account that someone waits for; a round asks for them together."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[str, asyncio.Future[Seen | None]] = {}
        self._since: dict[str, float] = {}
        self._rounds: asyncio.Task[None] | None = None
        self._ended_jobs: dict[str, Seen] = {}
        self._took = 0.0
        self._ended = 0.0
        self.everything = Shared(self._list_all)
        """Every job of ours at the account."""

    @property
    def size(self) -> int:
        """Jobs that are waited for, and have not ended."""
        return len(self._since)

    async def ended(self, id: str) -> Mapping[str, Any]:
        """All that the provider says of a job that has ended."""
        seen = self._ended_jobs.get(id) or await self._one(id)
        if seen is None:
            raise Unreachable(f"{id} had succeeded, and the provider knows it no more")
        return seen.raw

    def forget(self, id: str) -> None:
        """A job that has ended was collected."""
        self._ended_jobs.pop(id, None)

    async def job(self, id: str) -> Seen | None:
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
        """Rounds while anyone waits; whatever happens in one, they all get to know."""
        try:
            while self._waiting:
                await asyncio.sleep(self._pause())
                await self._one_round(dict(self._waiting))
        finally:  # only where the run itself is over
            for future in self._waiting.values():
                future.cancel()
            self._waiting.clear()

    async def _one_round(self, wanted: dict[str, asyncio.Future[Seen | None]]) -> None:
        began = time.monotonic()
        answers: Mapping[str, Seen | Exception | None]
        try:
            answers = await self._look(set(wanted))
        except MotoolsError as error:
            answers = dict.fromkeys(wanted, error)
        except Exception as error:  # noqa: BLE001 - else all would wait for ever
            odd = self._desk.odd(f"its jobs cannot be read ({error!r})")
            odd.__cause__ = error
            answers = dict.fromkeys(wanted, odd)
        for id, answer in answers.items():
            self._answer(id, wanted[id], answer)
        self._ended = time.monotonic()
        self._took = self._ended - began

    def _answer(
        self,
        id: str,
        future: asyncio.Future[Seen | None],
        answer: Seen | Exception | None,
    ) -> None:
        self._waiting.pop(id, None)
        if isinstance(answer, Exception):
            future.set_exception(answer)
            future.exception()  # whoever waited may be gone
            return
        if answer is None or answer.status in ("succeeded", "failed", "cancelled"):
            self._since.pop(id, None)
        if answer is not None and answer.status == "succeeded":
            self._ended_jobs[id] = answer
        future.set_result(answer)

    def _pause(self) -> float:
        """A tenth of the youngest job's age: an end is seen late by so much at most."""
        at = time.monotonic()
        youngest = min(at - self._since[id] for id in self._waiting)
        rest = min(IDLE * self._took, LONGEST_REST)
        gap = max(SOONEST, rest, min(LATEST, SHARE * youngest))
        return max(0.02, self._ended + gap - at)

    async def _look(self, wanted: set[str]) -> dict[str, Seen | None]:
        """A round: pages until all are seen, then singly what the pages left out."""
        found: dict[str, Seen | None] = {}
        left = len(wanted) // PAGE + SPARE_PAGES if len(wanted) > FEW else 0
        try:
            async for jobs in self._pages(at_most=left):
                found.update((job.id, job) for job in jobs if job.id in wanted)
                if len(found) == len(wanted):
                    break
        except Incomplete:
            pass  # what it lacks is asked for singly
        for id in sorted(wanted - found.keys())[:SINGLY]:
            found[id] = await self._one(id)
        return found

    async def _one(self, id: str) -> Seen | None:
        try:
            raw = await self._desk.ask_json(
                lambda client: client.fine_tuning.jobs.with_raw_response.retrieve(id)
            )
        except Refused as error:
            if is_gone(error):
                return None
            raise
        seen = Seen.of(raw)
        if seen is None or seen.id != id:
            raise self._desk.no_answer()
        return seen

    async def _list_all(self) -> list[Seen]:
        return [job async for jobs in self._pages() for job in jobs]

    async def _pages(self, at_most: int | None = None) -> AsyncIterator[list[Seen]]:
        """Our jobs, page by page. Raises Incomplete."""
        from openai import omit

        async def page(after: str | None) -> dict[str, Any]:
            return await self._desk.ask_json(
                lambda client: client.fine_tuning.jobs.with_raw_response.list(
                    limit=PAGE, metadata=TAG, after=after or omit
                ),
                at_once=True,
            )

        number = 0
        if at_most == 0:
            return
        async for items in pages(page, PAGE, self._desk.account.base_url):
            seen = (Seen.of(raw) for raw in items)
            yield [job for job in seen if job and job.ours]
            number += 1
            if number == at_most:
                return
