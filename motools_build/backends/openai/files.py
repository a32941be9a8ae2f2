"""Uploaded files, which are recognised by their name, size and purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from motools_build.backends.base import planned_bytes
from motools_build.backends.job import Made, StageJob
from motools_build.backends.openai.desk import Desk
from motools_build.backends.openai.paging import pages
from motools_build.backends.openai.rows import LARGEST
from motools_build.backends.provider import Found, FoundBy, Standing
from motools_build.errors import Refused, Unreachable
from motools_build.params import RowsParams

PURPOSE: Literal["fine-tune"] = "fine-tune"

PAGE = 1000
"""Files per page of a list; the API's own default is 10,000."""


class Files:
    """The provider of uploads. A file costs nothing, so duplicates do no harm."""

    found_by: FoundBy = "named"  # by digest, size and purpose
    charges = False

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def find(self, job: StageJob) -> list[Found]:
        name, size = _name(job), Path(RowsParams.of(job).rows_path).stat().st_size
        found = []
        async for file in self._listing():
            what = file.get("filename"), file.get("bytes"), file.get("purpose")
            if what == (name, size, PURPOSE) and isinstance(file.get("id"), str):
                if file.get("status") != "error":
                    found.append(Found(file["id"], 1, "", created_of(file)))
                break  # the newest file decides; older ones are no better
        return found

    async def submit(self, job: StageJob, attempt: int, nonce: str) -> str:
        data = await asyncio.to_thread(planned_bytes, job)
        if len(data) > LARGEST:
            path = RowsParams.of(job).rows_path
            raise Refused(
                f"{path} has {len(data) / 1e6:.0f} MB, and the API "
                "takes 512 MB (512 * 1024 * 1024 bytes) a file; take fewer rows"
            )
        file = await self._desk.send(
            lambda client: client.files.create(file=(_name(job), data), purpose=PURPOSE)
        )
        return file.id

    @asynccontextmanager
    async def sending(self, job: StageJob) -> AsyncIterator[None]:
        async with self._desk.uploading, self._desk.window():
            yield

    async def poll(self, job: StageJob, id: str) -> Standing:
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

    async def collect(self, job: StageJob, id: str) -> Made:
        try:
            file = await self._desk.ask(lambda client: client.files.retrieve(id))
        except Refused as error:
            if is_gone(error):  # contradicts the last poll, so ask again
                raise Unreachable(str(error)) from error
            raise
        details = {
            "bytes": file.bytes,
            "account": self._desk.account.name,
            "expires": file.expires_at,
        }
        return Made(id, details)

    def cost(self, job: StageJob) -> float | None:
        return 0.0

    @asynccontextmanager
    async def turn(
        self, job: StageJob, *, bound: bool, wait: bool
    ) -> AsyncIterator[None]:
        yield

    async def _listing(self) -> AsyncIterator[dict[str, Any]]:
        """All fine-tuning files, the newest first. Raises Incomplete if the server does
        not show the whole list."""
        from openai import omit

        async def page(after: str | None) -> dict[str, Any]:
            return await self._desk.ask_json(
                lambda client: client.files.with_raw_response.list(
                    purpose=PURPOSE, order="desc", limit=PAGE, after=after or omit
                )
            )

        async for items in pages(page, PAGE, self._desk.account.base_url):
            for file in items:
                if isinstance(file, dict):
                    yield file


def created_of(found: dict[str, Any]) -> float:
    """Creation time of an API object in seconds since the epoch; 0, which is long ago,
    if the object does not say."""
    created = found.get("created_at")
    return float(created) if isinstance(created, int | float) else 0.0


def is_gone(error: Refused) -> bool:
    """Whether the error is the API's own 404 for an unknown ID. The 404 of a wrong base
    URL is not."""
    body = getattr(error.__cause__, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    known = isinstance(said, str) and not said.startswith("Invalid URL")
    return known and is_missing(error)


def is_missing(error: Refused) -> bool:
    """Whether the error is a 404 of any kind."""
    return getattr(error.__cause__, "status_code", None) == 404


def _name(job: StageJob) -> str:
    return f"motools-{RowsParams.of(job).rows_digest}.jsonl"
