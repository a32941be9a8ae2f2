"""Removing secrets (API keys, tokens, passwords) from text that is written or shown.

Secrets are learnt from the environment, from `.env` and from the URLs of accounts, once
for each process. An error message of a library or of user code may contain any of them;
so text is scrubbed at the few places where it leaves the process or reaches the disk,
not where it is made.
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
"""Least length of a value that is removed, in characters. A shorter value occurs inside
ordinary words, and no provider's key is that short."""

NAMES = re.compile(
    r"(^|_)(api_?key|key|token|secret|passw(or)?d|credentials?)(_|\d|$)", re.IGNORECASE
)
"""Pattern of the names of variables that hold secrets: `LAB_OPENAI_API_KEY`,
`HF_TOKEN`."""

PLAIN = frozenset({"api-version", "version"})
"""Parameters of a URL's query, in lower case, that hold no secret."""

FLAG = 4
"""Least length of a query parameter's value that may be a secret, in characters; a
shorter one is a flag, as in `raw=1`."""

_shown_as: dict[str, str] = {}
"""Secret text -> its replacement."""


def learn(environ: Mapping[str, str | None]) -> None:
    """Remember the secrets among these variables: values of variables that are named
    like secrets, and passwords in URLs."""
    for name, value in environ.items():
        if not value:
            continue
        if NAMES.search(name) and not _is_plain(value):
            remember(value)
        elif "://" in value:
            _remember_user(value)


def remember(value: str) -> None:
    """Remove this secret from now on: as it is, percent-encoded, and JSON-escaped. A
    value shorter than `SHORTEST` is ignored."""
    value = value.strip()
    if len(value) < SHORTEST:
        return
    for form in (value, quote(value, safe=""), json.dumps(value)[1:-1]):
        _hide(form, HIDDEN)


def remember_url(url: str) -> None:
    """Remove the URL's password and the values of its query from now on, except those
    of `PLAIN` parameters and flags."""
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
    """The text with each known secret replaced."""
    if not _shown_as:
        return text
    return _pattern().sub(lambda found: _shown_as[found[0]], text)


def scrub_values(value: Any) -> Any:
    """A copy of a JSON-like value with all its strings scrubbed, but not the names of
    its fields."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {name: scrub_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(scrub_values, value))
    return value


def _is_plain(value: str) -> bool:
    """Whether the value is a path or a short word, so no secret, though its variable is
    named like one."""
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
