"""Durations and moments, as a run's lines show them."""

from __future__ import annotations

import time


def clock(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def took(seconds: float) -> str:
    """`3.1 s`; from two minutes on, `12:34` or `1:02:03`."""
    return f"{seconds:.1f} s" if seconds < 120 else clock(seconds)


def at() -> str:
    """The time of day, `12:34:56`."""
    return time.strftime("%H:%M:%S")
