"""The lines of a large plain table, as rich prints them, in a tenth of the time.

rich measures and wraps every cell several times, which takes seconds for thousands of
rows. A table that fits, and has nothing to wrap, needs none of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from motools_build.text.visible import shown

MANY = 200
"""Number of rows from which a table is drawn here."""


def drawn(table: Any, width: int) -> list[str] | None:
    """The lines of a table of texts, as rich prints it to a stream that is no terminal,
    at most `width` columns wide.

    None if rich has to draw it: if it has few rows, does not fit, or has a text of
    several lines or of characters that are not one column wide.
    """
    if table.row_count < MANY or any(row.end_section for row in table.rows):
        return None
    heads = [str(column.header).split("\n") for column in table.columns]
    body = [[shown(cell) for cell in column._cells] for column in table.columns]
    title = shown(str(table.title))
    texts = [title, *(one for of in (*heads, *body) for one in of)]
    if not all(text.isascii() and text.isprintable() for text in texts):
        return None
    sizes = [max(map(len, of)) for of in map(list.__add__, heads, body)]
    whole = sum(sizes) + 3 * len(sizes) + 1
    if max(whole, len(title)) > min(width, whole):
        return None
    tall = max(map(len, heads))
    above = [[*[""] * (tall - len(head)), *head] for head in heads]
    right = [column.justify == "right" for column in table.columns]
    return [
        title.ljust(whole),
        _rule("┏━", "━┳━", "━┓", sizes),
        *_rows(above, sizes, right, "┃ ", " ┃ ", " ┃"),
        _rule("┡━", "━╇━", "━┩", sizes),
        *_rows(body, sizes, right, "│ ", " │ ", " │"),
        _rule("└─", "─┴─", "─┘", sizes),
    ]


def _rule(begin: str, between: str, end: str, sizes: Sequence[int]) -> str:
    return begin + between.join(between[0] * size for size in sizes) + end


def _rows(
    columns: Sequence[Sequence[str]],
    sizes: Sequence[int],
    right: Sequence[bool],
    begin: str,
    between: str,
    end: str,
) -> list[str]:
    """Lines with the columns' texts, each filled up to its column's size."""
    filled = [
        [text.rjust(size) if is_right else text.ljust(size) for text in column]
        for column, size, is_right in zip(columns, sizes, right, strict=True)
    ]
    return [begin + between.join(row) + end for row in zip(*filled, strict=True)]
