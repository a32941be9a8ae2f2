"""Problems of lines that are not JSON, and of text that no model can be given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from motools_build.data.fetching import LFS

HALF = re.compile("[\ud800-\udfff]")
"""A lone surrogate: half of a character that `\\uXXXX` writes in two. It has no form in
UTF-8."""

MARKS = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
}

HEADER = re.compile(rb'"?[\w .-]+"?([,;\t]"?[\w .-]+"?)+')
"""The first line of a table of separated values."""


def other_file(line: bytes) -> str | None:
    """What kind of file begins with this line, if it cannot be JSONL; None if it
    can."""
    if line.startswith(LFS):
        return (
            "a Git LFS pointer, not the file that it stands for: `git lfs pull` brings "
            "that"
        )
    for mark, name in MARKS.items():
        if line.startswith(mark):
            return f"not JSON but {name}: save the file as plain UTF-8"
    text = line.strip()
    if text.startswith(b"<"):
        return "not JSON but HTML or XML: a web page was saved, not the file itself"
    if HEADER.fullmatch(text):
        return (
            f"not JSON but a table of separated values ({_excerpt(line)}): write each "
            'of its rows as one line of JSON, {"messages": [...]}'
        )
    return None


def unread(line: bytes, error: Exception) -> str:
    """Why a line could not be read as JSON, with a remedy if one is known."""
    if isinstance(error, UnicodeDecodeError):
        return (
            f"not UTF-8 ({error.reason} at byte {error.start}): save the file as UTF-8"
        )
    if isinstance(error, json.JSONDecodeError):
        reason = f"{error.msg} at column {error.colno}"
    else:
        reason = str(error)
    return f"not JSON ({reason}): {_excerpt(line)}{_hint(line, error)}"


def not_text(row: Any, special: re.Pattern[str] | None, whose: str) -> str | None:
    """The problem of the first string in a row that cannot be written as UTF-8, or
    contains a special token; None if there is none. `whose` names who refuses such
    tokens."""
    for place, text in _strings(row, ""):
        half = HALF.search(text)
        if half:
            code = f"\\u{ord(half[0]):04x}"
            return f"{place} has {code}, half of a character; write the whole of it"
        token = special.search(text) if special else None
        if token:
            return f"{place} has the special token {token[0]}, which {whose} refuses"
    return None


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every string of a row, keys included, after its place: `messages[0].content`."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{place}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{place}.{key}" if place else key
            yield f"a key of {place or 'the row'}", key
            yield from _strings(item, inner)


def _hint(line: bytes, error: Exception) -> str:
    text = line.strip()
    if isinstance(error, RecursionError):
        return "; it is nested too deeply"
    if text.startswith(b"\xef\xbb\xbf"):
        return "; it begins with a byte order mark, as joined files have: remove it"
    if text in (b"{", b"[", b"}", b"]", b"},", b"],"):
        return "; each row is one line, without a list around the rows"
    if text.endswith(b","):
        return "; no comma goes between rows"
    if b"\r" in text and str(error).startswith("Extra data"):
        return "; rows end with a newline, not with a carriage return alone"
    if str(error).startswith("Extra data"):
        return "; a line holds one row and nothing else"
    if isinstance(error, json.JSONDecodeError) and _after_comma(error):
        return "; no comma goes before a closing bracket"
    if isinstance(error, json.JSONDecodeError) and _cut(error):
        return "; the row ends in its middle: the file was cut, fetch it again"
    return ""


def _cut(error: json.JSONDecodeError) -> bool:
    """Whether the line ends before its JSON does."""
    whole = error.doc.rstrip()
    return error.doc.lstrip().startswith("{") and (
        error.pos >= len(whole) or error.msg.startswith("Unterminated string")
    )


def _after_comma(error: json.JSONDecodeError) -> bool:
    """Whether the error is a comma before a closing bracket. Looks around the position,
    because Python versions report different ones."""
    around = error.doc[: error.pos].rstrip()[-1:] + error.doc[error.pos :]
    return bool(re.match(r"[^,]?,\s*[}\]]", around))


def _excerpt(line: bytes) -> str:
    text = line[:60].decode("utf-8", "replace").strip()
    return repr(text + ("..." if len(line) > 60 else ""))
