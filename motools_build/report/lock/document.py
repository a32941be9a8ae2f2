"""The file of a lock: its layout, its digest, and the reading of one from elsewhere.

A line for each stage and each result, in the order of the plan, so that git shows what
changed. The digest, over the canonical JSON of all the rest, tells an edit by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from motools_build.errors import InputError
from motools_build.keys import canonical, digest_bytes
from motools_build.store.records import check_format

FORMAT = 1
"""The format number of locks. It is raised when a field changes its meaning; a new
field does not raise it."""

DIGEST = "digest"

CONFLICT = re.compile(rb"^(?:<{7}|={7}|>{7}|\|{7})(?: |\r?$)", re.MULTILINE)
"""Matches a line that git leaves where two versions of a file could not be merged."""

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(body: Mapping[str, Any]) -> bytes:
    """The bytes of a lock's file, its digest last. `body` is JSON-like, and may have
    lists and mappings of which each item becomes a line."""
    sealed = {**body, DIGEST: digest_of(json.loads(_COMPACT(body)))}
    parts = [f"{_COMPACT(name)}: {_laid_out(value)}" for name, value in sealed.items()]
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def _laid_out(value: Any) -> str:
    if isinstance(value, Mapping) and value:
        lines = [f"{_COMPACT(name)}: {_COMPACT(item)}" for name, item in value.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(map(_COMPACT, value)) + "\n]"
    return _COMPACT(value)


def digest_of(body: Mapping[str, Any]) -> str:
    """The digest of what a lock says, without the digest itself."""
    return digest({name: value for name, value in body.items() if name != DIGEST})


def digest(value: Any) -> str:
    """The digest of a JSON-like value."""
    try:
        data = canonical(value)
    except ValueError:  # an integer above 2**53, which canonical JSON has not
        data = json.dumps(value, sort_keys=True).encode()
    return str(digest_bytes(data))


def decode(data: bytes, what: str) -> dict[str, Any]:
    """The body of a lock's file. `what` names the file in errors.

    Raises NewerFormat if a later version wrote it in a newer format, InputError if it
    is no whole lock, has the marks of a merge, or was edited.
    """
    again = f"restore it (git checkout {what}), or lock again"
    if CONFLICT.search(data):
        raise InputError(
            f"{what} has the marks of a merge conflict (<<<<<<<); take one of the two "
            f"versions (git checkout --ours {what}), or lock again"
        )
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is no whole JSON ({error}); {again}") from error
    if not isinstance(body, dict) or "results" not in body:
        raise InputError(f"{what} is JSON, but no lock; {again}")
    check_format(body, what, FORMAT)
    if body.get(DIGEST) != digest_of(body):
        raise InputError(
            f"{what} was edited: its digest is of another text, so none of its numbers "
            f"is shown; {again}"
        )
    return body
