"""How long a server asks to wait before a retry, in any of the forms it may use."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime


def retry_after(header: str | None, said: str) -> float | None:
    """Seconds to wait, from the Retry-After header, or else from `try again in 2h3m4s`
    in the message; None if neither names a time in the future."""
    named = _seconds(header.strip()) if header else None
    if named is None:
        match = re.search(r"try again in ((?:[\d.]+(?:ms|[dhms])\s*)+)", said)
        units = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
        parts = re.findall(r"([\d.]+)(ms|[dhms])", match[1]) if match else []
        told = [(_seconds(number), units[unit]) for number, unit in parts]
        named = sum(number * unit for number, unit in told if number) or None
    return None if named is None else max(0.1, named)


def _seconds(text: str) -> float | None:
    """Seconds from a number of seconds or from an HTTP date; None if the text is
    neither or the wait is not positive."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, ArithmeticError):
            return None
    return seconds if seconds > 0 else None


def too_long(seconds: float | None, most: float) -> str:
    """A remark for the error message if the wait of `seconds` is cut to `most`; else
    empty."""
    if seconds is None or seconds <= most:
        return ""
    return f" (it names {seconds:g} s; {most / 3600:.0f} h are waited at most)"
