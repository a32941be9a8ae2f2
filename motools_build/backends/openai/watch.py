"""Polling of many jobs at once, with a few list requests per round."""

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
"""Metadata of every job of ours. List requests filter by it, and it is checked again
here, because not every server filters."""

PAGE = 100
"""Jobs per page of a list; the API's maximum."""

SPARE_PAGES = 5
"""Pages that a round reads beyond those that the jobs in flight would fill; jobs that
are not on them are requested one by one."""

SINGLY = 50
"""Largest number of jobs requested one by one in a round."""

FEW = 3
"""Up to this many jobs in flight, all are requested one by one, without a list."""

SOONEST, LATEST = 0.2, 60.0
"""Least and largest pause between two rounds, in seconds."""

SHARE = 0.1
"""Pause between rounds as a fraction of the youngest job's age: how late the end of a
job may be noticed."""

IDLE, LONGEST_REST = 2, 3.0
"""After a round, wait at least IDLE times its duration, but at most LONGEST_REST
seconds for this reason."""


LAST_MOMENT = 1e11
"""Seconds since the epoch, in some year after 5000; later times are taken as
invalid."""


@dataclass(frozen=True)
class Seen:
    """A job, as the provider last showed it."""

    id: str
    status: str
    """The API's word for the job's status; empty if the response has none."""
    created: float
    """Creation time in seconds since the epoch; NaN if the response has none."""
    metadata: Mapping[str, Any]
    """The job's metadata; empty if it has none, or if they are not a mapping, as jobs
    of other programs may have anything."""
    raw: Mapping[str, Any]
    """The whole JSON object of the job."""

    @classmethod
    def of(cls, raw: Any) -> Seen | None:
        """The job of a JSON object, even with odd fields; None if it has no ID."""
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
    """A time in seconds since the epoch; NaN if the value is no plausible time."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if 0 <= value < LAST_MOMENT else math.nan


class Watch:
    """Polls the jobs of an account that callers wait for, all together in rounds."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[str, asyncio.Future[Seen | None]] = {}
        self._since: dict[str, float] = {}
        self._rounds: asyncio.Task[None] | None = None
        self._ended_jobs: dict[str, Seen] = {}
        self._took = 0.0
        self._ended = 0.0
        self.everything = Shared(self._list_all)
        """The list of all our jobs at the account."""

    @property
    def size(self) -> int:
        """Number of jobs that were waited for and have not ended."""
        return len(self._since)

    async def ended(self, id: str) -> Mapping[str, Any]:
        """The JSON object of a job that succeeded. Raises Unreachable if the provider
        no longer knows the job."""
        seen = self._ended_jobs.get(id) or await self._one(id)
        if seen is None:
            raise Unreachable(f"{id} had succeeded, and the provider knows it no more")
        return seen.raw

    def forget(self, id: str) -> None:
        """Drop a job whose result was collected."""
        self._ended_jobs.pop(id, None)

    async def job(self, id: str) -> Seen | None:
        """The job, as the next round shows it; None if the server does not know the ID.
        Raises the error of the round."""
        loop = asyncio.get_running_loop()
        if id not in self._waiting:
            self._waiting[id] = loop.create_future()
            self._since.setdefault(id, time.monotonic())
        future = self._waiting[id]
        if self._rounds is None or self._rounds.done():
            self._rounds = loop.create_task(self._go_round())
        return await asyncio.shield(future)

    async def _go_round(self) -> None:
        """Run rounds while any caller waits; an error in a round reaches every
        caller."""
        try:
            while self._waiting:
                await asyncio.sleep(self._pause())
                await self._one_round(dict(self._waiting))
        finally:  # callers are left only if the run itself was cancelled
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
        except Exception as error:  # noqa: BLE001 - else callers would wait forever
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
            future.exception()  # mark as retrieved: the caller may be gone
            return
        if answer is None or answer.status in ("succeeded", "failed", "cancelled"):
            self._since.pop(id, None)
        if answer is not None and answer.status == "succeeded":
            self._ended_jobs[id] = answer
        future.set_result(answer)

    def _pause(self) -> float:
        """Seconds until the next round: SHARE of the youngest job's age after the last
        round, so that the end of a job is noticed late by at most that much."""
        at = time.monotonic()
        youngest = min(at - self._since[id] for id in self._waiting)
        rest = min(IDLE * self._took, LONGEST_REST)
        gap = max(SOONEST, rest, min(LATEST, SHARE * youngest))
        return max(0.02, self._ended + gap - at)

    async def _look(self, wanted: set[str]) -> dict[str, Seen | None]:
        """One round: read list pages until all wanted jobs are seen, then request one
        by one those that the pages left out. Returns ID -> job, None for unknown
        IDs."""
        found: dict[str, Seen | None] = {}
        left = len(wanted) // PAGE + SPARE_PAGES if len(wanted) > FEW else 0
        try:
            async for jobs in self._pages(at_most=left):
                found.update((job.id, job) for job in jobs if job.id in wanted)
                if len(found) == len(wanted):
                    break
        except Incomplete:
            pass  # jobs that are missing are requested one by one
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
        """Our jobs, page by page, `at_most` pages. Raises Incomplete if the server does
        not show the whole list."""
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
