"""Uploaded files: found again by name, size and purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from motools_build.backends.base import (
    Found,
    FoundBy,
    Job,
    Made,
    Standing,
    planned_bytes,
)
from motools_build.backends.openai.desk import Desk
from motools_build.errors import Refused

if TYPE_CHECKING:
    from openai.types import FileObject

PURPOSE: Literal["fine-tune"] = "fine-tune"

LARGEST = 512 * 1024 * 1024
"""Bytes of a file that the API takes."""

PAGE = 1000
"""Files a page; the API's own default is 10,000."""


class Files:
    """The provider of uploads. A file costs nothing, so none is elected."""

    found_by: FoundBy = "named"  # by digest, size and purpose
    charges = False

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def find(self, job: Job) -> list[Found]:
        name, size = _name(job), Path(job.params["dataset"]).stat().st_size
        found = []
        async for file in self._listing():
            if (file.filename, file.bytes, file.purpose) == (name, size, PURPOSE):
                if file.status != "error":
                    found.append(Found(file.id, 1, "", float(file.created_at)))
                break  # the newest; older ones are of no more use
        return found

    async def submit(self, job: Job, attempt: int, nonce: str) -> str:
        data = await asyncio.to_thread(planned_bytes, job)
        if len(data) > LARGEST:
            raise Refused(
                f"{job.params['dataset']} has {len(data) / 1e6:.0f} MB, and the API "
                "takes 512 MB (512 * 1024 * 1024 bytes) a file; take fewer rows"
            )
        file = await self._desk.send(
            lambda client: client.files.create(file=(_name(job), data), purpose=PURPOSE)
        )
        return file.id

    @asynccontextmanager
    async def sending(self, job: Job) -> AsyncIterator[None]:
        async with self._desk.uploading, self._desk.window():
            yield

    async def poll(self, job: Job, id: str) -> Standing:
        try:
            file = await self._desk.ask(lambda client: client.files.retrieve(id))
        except Refused as error:
            if is_gone(error):
                return Standing("gone", "the file was deleted, or has expired")
            raise
        if file.status == "error":
            why = file.status_details or "the provider could not process it"
            return Standing("failed", why)
        return Standing("succeeded")

    async def cancel(self, id: str) -> None:
        await self._desk.ask(lambda client: client.files.delete(id))

    async def collect(self, job: Job, id: str) -> Made:
        file = await self._desk.ask(lambda client: client.files.retrieve(id))
        details = {
            "bytes": file.bytes,
            "account": self._desk.account.name,
            "expires": file.expires_at,
        }
        return Made(id, details)

    def cost(self, job: Job) -> float | None:
        return 0.0

    @asynccontextmanager
    async def turn(self, job: Job, *, bound: bool, wait: bool) -> AsyncIterator[None]:
        yield

    async def _listing(self) -> AsyncIterator[FileObject]:
        """All fine-tuning files, the newest first, page by page."""
        from openai import omit

        after: str | None = None
        while True:
            page = await self._desk.ask(
                lambda client, after=after: client.files.list(  # type: ignore[misc]
                    purpose=PURPOSE,
                    order="desc",
                    limit=PAGE,
                    after=after or omit,
                )
            )
            for file in page.data:
                yield file
            if not page.has_more or not page.data or page.data[-1].id == after:
                return
            after = page.data[-1].id


def is_gone(error: Refused) -> bool:
    """Whether it is the API's own 404, for an ID; a wrong base URL's is none."""
    body = getattr(error.__cause__, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    known = isinstance(said, str) and not said.startswith("Invalid URL")
    return known and is_missing(error)


def is_missing(error: Refused) -> bool:
    """Whether a definite no is any 404."""
    return getattr(error.__cause__, "status_code", None) == 404


def _name(job: Job) -> str:
    return f"motools-{job.params['digest']}.jsonl"
