"""Suggestions for unknown names: "did you mean"."""

from __future__ import annotations

import difflib


def known(word: str, words: object) -> str:
    """The remedy in the message for an unknown name: `did you mean 'X'? there are: X,
    Y`. The first part is left out if no name is similar."""
    names = sorted(map(str, words))  # type: ignore[call-overload]
    near = difflib.get_close_matches(word, names, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}there are: {', '.join(names) or 'none'}"
