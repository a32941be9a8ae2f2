"""The versions of packages that a record notes."""

from __future__ import annotations

import functools
import os
import platform
import sys
from contextlib import suppress

from motools_build.keys import Digest, canonical, digest_bytes

RECORDED = ("motools_build", "inspect_ai", "numpy", "tiktoken")
"""Distributions whose versions are noted in records. They are never part of a key."""


@functools.cache
def installed() -> Digest:
    """The digest of the names and versions of all installed distributions, by the
    folders that hold their metadata; what these say inside is not read, which would
    take a tenth of a second."""
    found: set[str] = set()
    for folder in sys.path:
        with suppress(OSError):
            found.update(
                name.removesuffix(".dist-info")
                for name in os.listdir(folder or ".")
                if name.endswith((".dist-info", ".egg-info"))
            )
    return digest_bytes(canonical(sorted(found)))


@functools.cache
def versions() -> dict[str, str]:
    """The installed versions that are noted in records: distribution -> version."""
    from importlib.metadata import version

    python = {"python": platform.python_version()}
    return python | {name: version(name) for name in RECORDED}
