"""Values of keys, taken out of whatever is written or shown.

What is a key is learnt from the environment, from `.env` and from the URLs of
accounts, once for each process. A library's error, or a user's own, may hold any of
them; so texts are scrubbed at the few places where they leave a process or reach the
disk, not where they are made.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

HIDDEN = "***"

SHORTEST = 8
"""Characters of a value that is taken out. A shorter one is part of ordinary words,
and no provider's key is that short."""

NAMES = re.compile(
    r"(^|_)(api_?key|key|token|secret|passw(or)?d|credentials?)(_|\d|$)", re.IGNORECASE
)
"""What variables that hold keys are called: `LAB_OPENAI_API_KEY`, `HF_TOKEN`."""

PLAIN = frozenset({"api-version", "version"})
"""Parts of a URL's query that are no keys."""

FLAG = 4
"""Characters from which on what a URL's query holds may be a key: `raw=1` is none."""

_shown_as: dict[str, str] = {}
"""Each text that must not be seen -> what is written instead."""


def learn(environ: Mapping[str, str | None]) -> None:
    """Remember the keys among these variables, and the passwords of URLs in them."""
    for name, value in environ.items():
        if not value:
            continue
        if NAMES.search(name) and not _is_plain(value):
            remember(value)
        elif "://" in value:
            _remember_user(value)


def remember(value: str) -> None:
    """Take this key out from now on, however it is written."""
    value = value.strip()
    if len(value) < SHORTEST:
        return
    for form in (value, quote(value, safe=""), json.dumps(value)[1:-1]):
        _hide(form, HIDDEN)


def remember_url(url: str) -> None:
    """Take out what a URL's query holds, and its password."""
    try:
        query = urlsplit(url).query
    except ValueError:
        return
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        secret = len(value) >= FLAG or NAMES.search(name)
        if equals and value and secret and name.lower() not in PLAIN:
            _hide(part, f"{name}={HIDDEN}")
    for name, value in parse_qsl(query):
        if name.lower() not in PLAIN:
            remember(value)
    _remember_user(url)


def scrub(text: str) -> str:
    """The text without the value of any key that is known."""
    if not _shown_as:
        return text
    return _pattern().sub(lambda found: _shown_as[found[0]], text)


def scrub_values(value: Any) -> Any:
    """A JSON-like value, all of whose texts are scrubbed."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {name: scrub_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(scrub_values, value))
    return value


def _is_plain(value: str) -> bool:
    """Whether a variable that is called like a key holds a path, or a word."""
    return value.startswith(("/", "~", "./")) or (value.isalpha() and len(value) < 16)


def _remember_user(url: str) -> None:
    found = re.search(r"://[^/?#\s@]*:([^/?#\s@]+)@", url)
    if found:
        remember(found[1])
        remember(unquote(found[1]))


def _hide(text: str, instead: str) -> None:
    if text not in _shown_as:
        _shown_as[text] = instead
        _pattern.cache_clear()


@functools.cache
def _pattern() -> re.Pattern[str]:
    longest_first = sorted(_shown_as, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))
