"""The versions of packages that a record notes."""

from __future__ import annotations

import functools
import platform

RECORDED = ("motools_build", "inspect_ai", "numpy", "tiktoken")
"""Distributions whose versions are noted in records. They are never part of a key."""


@functools.cache
def versions() -> dict[str, str]:
    """The installed versions that are noted in records: distribution -> version."""
    from importlib.metadata import version

    python = {"python": platform.python_version()}
    return python | {name: version(name) for name in RECORDED}
