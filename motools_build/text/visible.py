"""Making control and invisible characters of foreign text visible on a terminal.

A provider's message, a model's answer or a file's name may hold escape sequences that
clear the screen, set the clipboard or reverse the order of words.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from motools_build.text.scrub import scrub

STEERING = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and newline, DEL, C1
    "\u00ad\u061c\u180e\u200b\u200e\u200f"  # soft hyphen, zero width, direction marks
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # line ends, bidi, invisible
    "\ud800-\udfff"  # lone surrogates
    "\U000e0000-\U000e0fff"  # tags, which are invisible
    "]"
    # many scripts and emoji need joiners; beside ASCII letters, they only hide
    "|(?<=[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\x00-\x7f]|$)"
)


def visible(text: str) -> str:
    """The text with its `STEERING` characters replaced: control characters below U+0020
    by their pictures (`␛`), others by their JSON escapes (`\\u202e`). JSON contains no
    raw character of the first sort, so it stays JSON with the same values."""
    if text.replace("\n", "").isprintable():  # nearly always so, and ten times as fast
        return text
    return STEERING.sub(_escape, text)


def shown(text: object) -> str:
    """The text as it may be shown to people: scrubbed of secrets, with control and
    invisible characters made visible."""
    return visible(scrub(str(text)))


def written(text: str) -> bytes:
    """JSON text encoded as UTF-8. A lone surrogate, which UTF-8 cannot encode, is
    written as its escape, which a JSON parser reads back."""
    return text.encode("utf-8", "backslashreplace")


def whole(value: Any) -> Any:
    """A JSON-like value in which each lone surrogate is replaced by its escape, as in
    Inspect's logs."""
    if isinstance(value, str):
        return written(value).decode()
    if isinstance(value, Mapping):
        return {whole(name): whole(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [whole(item) for item in value]
    return value


class Scrubbed(io.TextIOBase):
    """A text stream that removes known secrets, whoever writes to it: doit, a traceback
    or a task of the user's own. Terminal colours and progress bars pass unchanged."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        text = scrub(text)
        try:
            self.stream.write(text)
        except UnicodeEncodeError:  # a lone surrogate, or a terminal that is not UTF-8
            encoding = self.stream.encoding or "ascii"
            self.stream.write(
                text.encode(encoding, "backslashreplace").decode(encoding)
            )
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return bool(self.stream.isatty())

    def fileno(self) -> int:
        return int(self.stream.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(self.stream.encoding)

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        found: str | None = self.stream.errors
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number < 0x20:
        return chr(0x2400 + number)
    if number < 0x10000:
        return f"\\u{number:04x}"
    high, low = divmod(number - 0x10000, 0x400)  # a surrogate pair, as in JSON
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
