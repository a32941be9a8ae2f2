"""Formats what differs between two versions of a file, at 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from motools_build.report.file_changes import FileChange, RowChange, RowChanges
from motools_build.report.row_words import Field, Piece, as_text

WIDTH = 80

NEAR = 36
"""Characters of an equal text that are shown beside a change."""

LONGEST = 400
"""Largest number of characters of a text that is gone or has come."""

MOST_LINES = 60
"""Largest number of lines of a unified diff."""

MARKS = {"changed": "~", "added": "+", "removed": "-", "moved": ">"}


def change_lines(change: FileChange, again: str) -> Iterator[str]:
    """A file that differs, line by line. `again` is the command that shows all of
    it; if it is empty, all is shown."""
    renamed = f" (was {change.was})" if change.was != change.path else ""
    if change.rows:
        yield f"{change.path}{renamed}: {counted(change.rows.counts)}"
        yield from row_lines(change.rows, again)
    elif change.lines:
        yield f"{change.path}{renamed}: source changed"
        yield from _cut(change.lines, again)
    elif change.old is None or change.new is None:
        what = "was not there" if change.old is None else "is not there now"
        yield f"{change.path}{renamed}: {what}"
    else:
        yield f"{change.path}{renamed}: other bytes; {change.why_not}"


def counted(counts: Mapping[str, int]) -> str:
    """`3 rows changed, 1 added, 96 as before`."""
    found = [f"{n:,} {what}" for what, n in counts.items() if n and what != "kept"]
    kept = counts["kept"]
    if not found:
        return f"no row differs, of {kept:,}"
    number, _, rest = found[0].partition(" ")
    noun = "row" if number == "1" else "rows"
    return ", ".join([f"{number} {noun} {rest}", *found[1:], f"{kept:,} as before"])


def row_lines(changes: RowChanges, again: str) -> Iterator[str]:
    """The rows that differ, line by line."""
    for one in changes.shown:
        yield from _row(one)
    if changes.left_out:
        yield f"  ... and {changes.left_out:,} more: {again}"


def _row(one: RowChange) -> Iterator[str]:
    old, new = one.old_line, one.new_line
    place = f"{old} -> {new}" if old and new and old != new else f"{new or old}"
    if one.what != "changed":
        said = list(_summary(one.row))
        first = f"  {MARKS[one.what]} line {place}"
        if one.what == "moved":
            yield _short(f"{first}  {' / '.join(said)}")
            return
        yield first
        yield from (_short(f"      {line}") for line in said)
        return
    yield f"  ~ line {place}"
    if not one.fields:
        yield "      the same values, written otherwise"
    for field in one.fields:
        yield from _field(field)


def _field(field: Field) -> Iterator[str]:
    role = f" ({field.role})" if field.role else ""
    label = f"{field.path}{role}: " if field.path else ""
    text = label + marked(field.pieces)
    yield from textwrap.wrap(
        text,
        WIDTH,
        initial_indent="      ",
        subsequent_indent="        ",
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def marked(pieces: Sequence[Piece]) -> str:
    """The pieces of a text in one line: `It is [-two-]{+2+}.`, with what is equal cut
    to what is near a change."""
    found = []
    for number, (mark, text) in enumerate(pieces):
        line = _in_line(text)
        if mark == "-":
            found.append(f"[-{_first(line, LONGEST)}-]")
        elif mark == "+":
            found.append(f"{{+{_first(line, LONGEST)}+}}")
        else:
            is_first, is_last = number == 0, number == len(pieces) - 1
            found.append(_near(line, is_first, is_last))
    return "".join(found)


def _near(text: str, is_first: bool, is_last: bool) -> str:
    """An equal text, without what is far from the changes beside it."""
    before = "" if is_first else text[:NEAR]
    after = "" if is_last else text[-NEAR:]
    if len(text) <= len(before) + len(after) + 3:
        return text
    return f"{before}...{after}"


def _first(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _in_line(text: str) -> str:
    return text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def _summary(row: Any) -> Iterator[str]:
    """A row in a few lines: its messages, or its fields."""
    if not isinstance(row, dict):
        yield _in_line(as_text(row))
        return
    messages = row.get("messages")
    if isinstance(messages, list) and all(isinstance(m, dict) for m in messages):
        for one in messages:
            yield f"{one.get('role', '?')}: {_in_line(as_text(one.get('content')))}"
        return
    yield _in_line(as_text(row))


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def _cut(lines: Sequence[str], again: str) -> Iterator[str]:
    """The lines of a unified diff, each cut to the width, and not too many."""
    shown = lines[:MOST_LINES] if again else lines
    yield from (_short(f"  {line}") for line in shown)
    if len(shown) < len(lines):
        yield f"  ... and {len(lines) - len(shown)} more lines: {again}"
