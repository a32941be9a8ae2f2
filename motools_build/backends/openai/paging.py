"""Lists, page by page. One that is not surely whole is an error, never "that is all":
what it leaves out would be paid for again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from motools_build.errors import Unreachable

Page = Callable[[str | None], Awaitable[dict[str, Any]]]
"""The answer to the request for what comes after an ID, or for the first page."""

MOST_PAGES = 10_000
"""Pages after which a list is taken for one without an end."""


class Incomplete(Unreachable):
    """A list whose pages do not lead to its end."""


async def pages(ask: Page, limit: int, where: str) -> AsyncIterator[list[Any]]:
    """The items of each page, until the server has surely shown all.

    `has_more` decides where it is said. Where it is not, the next page is asked for: it
    is empty at the end, and the same again from a server that knows no pages, whose one
    answer is whole if it has fewer items than were asked for.

    Raises Incomplete.
    """
    after, seen = None, frozenset[str]()
    for _ in range(MOST_PAGES):
        answer = await ask(after)
        items, said = answer.get("data"), answer.get("has_more")
        more = said if isinstance(said, bool) else None
        if not isinstance(items, list):
            raise Incomplete(
                f"{where} answered a list without its items; is it the right base URL?"
            )
        if after is not None and more is None and not items:
            return
        ids = [_id(item) for item in items]
        if not seen.isdisjoint(ids):
            if more is None and seen == set(ids) and len(items) < limit:
                return
            raise Incomplete(
                f"{where} shows the same page of a list again, and so not all of it"
            )
        yield items
        if more is False or (more is None and not items):
            return
        if not items or not ids[-1]:
            raise Incomplete(
                f"{where} says that a list goes on, and not where (a page without "
                "items, or an item without an ID)"
            )
        after, seen = ids[-1], seen | set(ids) - {""}
    raise Incomplete(f"{where} shows a list without an end ({MOST_PAGES} pages)")


def _id(item: Any) -> str:
    found = item.get("id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""
