"""Durations and moments, as a run's lines show them."""

from __future__ import annotations

import time

from motools_build.text.durations import clock

__all__ = ["at", "clock", "took"]


def took(seconds: float) -> str:
    """`3.1 s`; from two minutes on, `12:34` or `1:02:03`."""
    return f"{seconds:.1f} s" if seconds < 120 else clock(seconds)


def at() -> str:
    """The time of day, `12:34:56`."""
    return time.strftime("%H:%M:%S")
