"""Durations and moments in words."""

from __future__ import annotations

import time


def clock(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def of_day(moment: float, now: float) -> str:
    """The time of day of a moment, in seconds since the epoch: `12:34:56`; with its
    date if that is not the date of `now`. Local time."""
    there = time.localtime(moment)
    same = there[:3] == time.localtime(now)[:3]
    return time.strftime("%H:%M:%S" if same else "%Y-%m-%d %H:%M", there)
