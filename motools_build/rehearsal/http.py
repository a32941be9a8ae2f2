"""Reading requests and writing answers."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from aiohttp import BodyPartReader, web

from motools_build.rehearsal.objects import Born
from motools_build.rehearsal.refused import Refused, bad
from motools_build.rehearsal.state import Space, State

Item = TypeVar("Item", bound=Born)
SLACK = 64 * 1024
"""Bytes that a multipart body may have beside its file."""


def scope(request: web.Request, state: State) -> Space:
    """The objects of the organization and project that a request names."""
    return state.space(
        request.headers.get("OpenAI-Organization", ""),
        request.headers.get("OpenAI-Project", ""),
        time.time(),
    )


async def body(request: web.Request) -> Any:
    """A request's body as JSON; {} if it is empty. Raises Refused."""
    try:
        return json.loads(await request.read() or b"{}")
    except ValueError:
        raise bad("We could not parse the JSON body of your request.") from None


async def object_body(request: web.Request) -> dict[str, Any]:
    found = await body(request)
    if not isinstance(found, dict):
        raise bad("We could not parse the JSON body of your request.")
    return found


@dataclass(frozen=True)
class Form:
    """A multipart body: plain fields, and one file."""

    fields: dict[str, str]
    filename: str
    data: bytes


async def form(request: web.Request, file: str, most: int) -> Form:
    """Read a multipart body with one file part, which is called `file` and has at most
    `most` bytes. Raises Refused, for a larger file before or while it is read."""
    if not request.content_type.startswith("multipart/"):
        raise bad("The body must be multipart/form-data.", file)
    if (request.content_length or 0) > most + SLACK:
        raise too_large(most)
    fields: dict[str, str] = {}
    filename, data = "", None
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise bad("The body must be multipart/form-data.", file)
        buffer = io.BytesIO()
        limit = most if part.name == file else SLACK
        while chunk := await part.read_chunk(1 << 18):
            buffer.write(chunk)
            if buffer.tell() > limit:
                raise too_large(limit)
        if part.name == file:
            filename, data = part.filename or "file", buffer.getvalue()
        else:
            fields[part.name] = buffer.getvalue().decode("utf-8", "replace")
    if data is None:
        raise bad(f"Missing required parameter: '{file}'.", file)
    return Form(fields, filename, data)


def too_large(most: int) -> Refused:
    return Refused(
        413,
        f"The file is larger than the limit of {most} bytes.",
        "file_too_large",
        "file",
        headers={"connection": "close"},
    )


def answer(
    found: Any, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A response with a JSON body."""
    return web.json_response(found, status=status, headers=headers)


def limit(request: web.Request, usual: int, most: int) -> int:
    """The `limit` of a request's query, or `usual`. Raises Refused if it is not in 1 to
    `most`."""
    text = request.query.get("limit", str(usual))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise bad(f"Invalid 'limit': {text} is not in 1 to {most}.", "limit")
    return int(text)


def page(
    items: Iterable[Item],
    request: web.Request,
    usual: int,
    most: int,
    render: Callable[[Item], dict[str, Any]],
) -> web.Response:
    """A page of a list: `limit` items after the one whose ID is `after`. `render` gives
    an item's JSON. Raises Refused."""
    number, after = limit(request, usual, most), request.query.get("after")
    source = iter(items)
    if after and not any(item.id == after for item in source):
        raise bad(f"Invalid 'after': there is no {after} in this list.", "after")
    shown = list(islice(source, number + 1))
    data = [render(item) for item in shown[:number]]
    return answer(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(shown) > number,
        }
    )


@dataclass(frozen=True)
class Plain:
    """An event or a checkpoint, which is JSON already, as an item of a list."""

    found: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.found["id"])

    @property
    def born(self) -> float:
        return float(self.found["created_at"])


def plain_page(
    found: list[dict[str, Any]], request: web.Request, usual: int, most: int
) -> web.Response:
    """A page of a list of JSON objects. Raises Refused."""
    items = [Plain(each) for each in found]
    return page(items, request, usual, most, lambda item: item.found)
