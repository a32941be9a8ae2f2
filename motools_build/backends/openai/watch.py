"""Many jobs in flight, followed by a few list requests a round."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from motools_build.backends.openai.desk import Desk, Shared
from motools_build.backends.openai.files import is_gone
from motools_build.errors import MotoolsError, Refused

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


@dataclass(frozen=True)
class Seen:
    """A job, as the provider last showed it."""

    id: str
    status: str
    created: float
    metadata: Mapping[str, str]
    raw: Mapping[str, Any]
    """All that the provider says of it."""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Seen:
        return cls(
            id=raw["id"],
            status=raw["status"],
            created=float(raw["created_at"]),
            metadata=raw.get("metadata") or {},
            raw=raw,
        )


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
        seen = self._ended_jobs.pop(id, None) or await self._one(id)
        if seen is None:
            raise Refused(f"{id} is gone from the provider, after it had succeeded")
        return seen.raw

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
        future: asyncio.Future[Seen | None],
        answer: Seen | MotoolsError | None,
    ) -> None:
        self._waiting.pop(id, None)
        if isinstance(answer, MotoolsError):
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

    async def _one(self, id: str) -> Seen | None:
        try:
            raw = await self._desk.ask_json(
                lambda client: client.fine_tuning.jobs.with_raw_response.retrieve(id)
            )
        except Refused as error:
            if is_gone(error):
                return None
            raise
        return self._seen(raw)

    def _seen(self, raw: Any) -> Seen:
        try:
            return Seen.of(raw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._desk.no_answer() from error

    async def _list_all(self) -> list[Seen]:
        jobs, after = await self._page(None)
        while after is not None:
            more, after = await self._page(after)
            jobs += more
        return jobs

    async def _page(self, after: str | None) -> tuple[list[Seen], str | None]:
        """A page of our jobs, and where the next one begins; None at the end."""
        from openai import omit

        page = await self._desk.ask_json(
            lambda client: client.fine_tuning.jobs.with_raw_response.list(
                limit=PAGE, metadata=TAG, after=after or omit
            ),
            at_once=True,
        )
        if not isinstance(page.get("data"), list):
            raise self._desk.no_answer()  # it must not pass for "no jobs"
        jobs = [self._seen(raw) for raw in page["data"]]
        ours = [job for job in jobs if TAG.items() <= job.metadata.items()]
        last = jobs[-1].id if jobs else None
        return ours, last if page.get("has_more") and last != after else None
