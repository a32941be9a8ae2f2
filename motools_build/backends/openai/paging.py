"""Reading the API's lists page by page. A list that may be incomplete is an error: a
job that it leaves out would be paid for again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from motools_build.errors import Unreachable

Page = Callable[[str | None], Awaitable[dict[str, Any]]]
"""Requests one page: the items after an ID, or the first page for None."""

MOST_PAGES = 10_000
"""Pages after which a list is taken for endless."""


class Incomplete(Unreachable):
    """The pages of a list did not lead to its end."""


async def pages(ask: Page, limit: int, where: str) -> AsyncIterator[list[Any]]:
    """Yields the items of each page, until the server has surely shown all.

    `has_more` decides, if the server sends it. Without it the next page is requested:
    after the end that page is empty. A server without paging sends the same page again;
    its list is whole if it has fewer than `limit` items. `where` names the server in
    errors.

    Raises Incomplete if the list may not be whole.
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
