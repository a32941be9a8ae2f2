"""Texts of others on a terminal: what would steer it, or mislead its reader, is shown.

A provider's message, a model's answer or a file's name may hold escape sequences that
clear the screen, set the clipboard or turn the order of words around.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from motools_build.text.scrub import scrub

STEERING = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and newline, DEL, C1
    "\u00ad\u061c\u180e\u200b\u200e\u200f"  # soft hyphen, marks of direction
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # ends of lines, bidi, invisible
    "\ud800-\udfff"  # half characters
    "\U000e0000-\U000e0fff"  # tags, which nobody sees
    "]"
    # joiners are part of many scripts and of emoji, and hide between plain letters
    "|(?<=[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\x00-\x7f]|$)"
)


def visible(text: str) -> str:
    """The text with a picture of each control character below the space, `␛`, and an
    escape, `\\u202e`, for all else that is not to be printed: so JSON, which has none
    of the first, stays JSON, and the same."""
    if text.replace("\n", "").isprintable():  # nearly always, and ten times as fast
        return text
    return STEERING.sub(_escape, text)


def shown(text: object) -> str:
    """A text as a person may see it: without keys, with nothing hidden in it."""
    return visible(scrub(str(text)))


def written(text: str) -> bytes:
    """JSON as UTF-8. Half a character, which has no UTF-8, is written as its escape,
    and read back as what it was."""
    return text.encode("utf-8", "backslashreplace")


def whole(value: Any) -> Any:
    """A JSON-like value, with its escape in the place of each half character, as
    Inspect's logs have it."""
    if isinstance(value, str):
        return written(value).decode()
    if isinstance(value, Mapping):
        return {whole(name): whole(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [whole(item) for item in value]
    return value


class Scrubbed(io.TextIOBase):
    """A stream through which no known key passes, whoever writes: doit, a traceback,
    a task of the user's own. Colours and progress pass as they are."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        text = scrub(text)
        try:
            self.stream.write(text)
        except UnicodeEncodeError:  # half a character, or a terminal of few letters
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
    high, low = divmod(number - 0x10000, 0x400)  # as JSON writes it
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
