"""File sizes as people write them: parsing and formatting."""

from __future__ import annotations

import math


def bytes_of(text: str) -> int:
    """The number of bytes of a size: `20GB` -> 20,000,000,000. Raises ValueError for a
    text that is no size."""
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    word = text.strip().upper()
    number = float(word[:-2]) * units[word[-2:]] if word[-2:] in units else int(word)
    if not 0 <= number < math.inf:
        raise ValueError(f"{text} is no size")
    return int(number)


def human(size: float) -> str:
    """A number of bytes as a short text, in powers of 1000: 1536 -> `1.5 KB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
