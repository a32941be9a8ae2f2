"""A mark's text inside a file: put there, and found again.

It is metadata that each form has a place for: `<metadata>` of an SVG, an iTXt chunk of
a PNG, the document information of a PDF, a `<meta>` of a page. A file that is read may
come from anywhere: nothing in it is interpreted, and sizes are bounded.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path

from motools_build.errors import InputError
from motools_build.keys import opened

NAME = "motools_build"
"""The name of the metadata, in all forms."""

LARGEST = 1 << 28
"""Bytes of the largest file that is read."""

MOST = 1 << 24
"""Characters of the longest mark that is read."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"

SVG_TAG = re.compile(rb"<svg\b[^>]*>")
IN_SVG = re.compile(rb'<metadata id="motools_build">([^<]*)</metadata>')
IN_PAGE = re.compile(rb'<meta name="motools_build" content="([^"]*)">')
IN_PDF = re.compile(rb"/motools_build <((?:[0-9a-f]{2})*)>")

TRAILER = re.compile(
    rb"trailer\s*<<(?P<fields>[^<>]*)>>\s*startxref\s+(?P<at>\d+)\s+%%EOF\s*\Z"
)
"""Matches the end of a PDF with a table of objects."""


def in_svg(data: bytes, text: str) -> bytes:
    """An SVG with the text as its metadata."""
    tag = SVG_TAG.search(data)
    if tag is None:
        raise InputError("vl-convert wrote an SVG of another form: write PNG or PDF")
    metadata = f'<metadata id="{NAME}">{escape(text)}</metadata>'.encode()
    return data[: tag.end()] + metadata + data[tag.end() :]


def in_page(text: str) -> str:
    """The HTML of a page's head that has the text."""
    return f'<meta name="{NAME}" content="{escape(text)}">\n'


def in_png(data: bytes, text: str) -> bytes:
    """A PNG with the text as an iTXt chunk before its end. `text` is ASCII."""
    # the keyword, then: not compressed, no language, no translated keyword
    content = NAME.encode() + b"\0\0\0\0\0" + text.encode("ascii")
    check = zlib.crc32(b"iTXt" + content)
    chunk = struct.pack(">I", len(content)) + b"iTXt" + content
    end = data.rindex(b"IEND") - 4
    return data[:end] + chunk + struct.pack(">I", check) + data[end:]


def in_pdf(data: bytes, text: str) -> bytes:
    """A PDF with the text in its document information, by an incremental update: what
    was there stays as it is, and a new version of one object follows. `text` is
    ASCII.

    Raises InputError for a PDF of another structure than vl-convert's.
    """
    trailer = TRAILER.search(data)
    fields = trailer["fields"] if trailer else b""
    info = re.search(rb"/Info (\d+) 0 R", fields)
    was = re.search(rb"\n%s 0 obj\s*<<([^<>]*)>>" % info[1], data) if info else None
    if trailer is None or info is None or was is None:
        raise InputError("vl-convert wrote a PDF of another form: write SVG or PNG")
    place = len(data) + 1
    told = b"/%s <%s>" % (NAME.encode(), text.encode("ascii").hex().encode())
    one = b"%s 0 obj\n<<%s  %s\n>>\nendobj\n" % (info[1], was[1], told)
    free = b"0 1\n0000000000 65535 f \n"  # which some readers expect first
    table = b"xref\n" + free + b"%s 1\n%010d 00000 n \n" % (info[1], place)
    end = b"trailer\n<<%s  /Prev %s\n>>\nstartxref\n%d\n%%%%EOF\n"
    after = end % (fields, trailer["at"], place + len(one))
    return data + b"\n" + one + table + after


PLACES = {".svg": in_svg, ".png": in_png, ".pdf": in_pdf}
"""Ending of a figure's name -> how it holds a mark."""


# ---- found again


def text_in(path: Path) -> str | None:
    """The text of the mark in a file; None if it has none. Raises OSError if the file
    cannot be read, InputError if it is too large."""
    with opened(path) as file:
        data = file.read(LARGEST + 1) or b""
    if len(data) > LARGEST:
        raise InputError(f"{path} is larger than a figure or a page: {LARGEST} bytes")
    if data.startswith(SIGNATURE):
        text = _in_chunks(data)
    elif data.startswith(b"%PDF"):
        every = IN_PDF.findall(data)  # the last one counts
        text = bytes.fromhex(every[-1][: 2 * MOST].decode()) if every else None
    else:
        found = IN_SVG.search(data) or IN_PAGE.search(data)
        text = unescape(found[1].decode(errors="replace")).encode() if found else None
    if text is None or len(text) > MOST:
        return None
    return text.decode(errors="replace")


def _in_chunks(data: bytes) -> bytes | None:
    begin = NAME.encode() + b"\0"
    for kind, content in _chunks(data):
        if kind == b"iTXt" and content.startswith(begin):
            parts = content[len(begin) + 2 :].split(b"\0", 2)
            is_plain = content[len(begin) : len(begin) + 1] == b"\0"
            if is_plain and len(parts) == 3:
                return parts[2]
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of the chunks of a PNG, up to one that is cut off."""
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        content = data[place + 8 : place + 8 + size]
        if len(content) < size:
            return
        yield data[place + 4 : place + 8], content
        place += size + 12
