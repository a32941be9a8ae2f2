"""Did you mean: the remedy of every unknown name."""

from __future__ import annotations

import difflib


def known(word: str, words: object) -> str:
    """`did you mean X? there are: X, Y`, the remedy of every unknown name."""
    names = sorted(map(str, words))  # type: ignore[call-overload]
    near = difflib.get_close_matches(word, names, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}there are: {', '.join(names) or 'none'}"
