"""Whether two versions of a Python file differ in comments and formatting alone."""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Iterator

MOST = 24
"""Most lines of a difference that are shown."""


def only_formatting(old: bytes, new: bytes) -> bool:
    """Whether both are the same program to Python: equal but for comments, line breaks,
    quotes and the like. Docstrings count as code, since programs may read them. False
    if one of them is no Python that this interpreter can read."""
    try:
        return _tree(old) == _tree(new)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _tree(source: bytes) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the escapes in a user's strings
        return ast.dump(ast.parse(source))


def difference(path: str, old: bytes, new: bytes) -> Iterator[str]:
    """The first lines of a unified difference of two versions of a text file."""
    before, after = (one.decode(errors="replace").splitlines() for one in (old, new))
    names = f"{path} as it was", path
    lines = [*difflib.unified_diff(before, after, *names, lineterm="", n=1)]
    yield from lines[:MOST]
    if len(lines) > MOST:
        yield f"... and {len(lines) - MOST} more lines"
