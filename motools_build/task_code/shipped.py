"""The files of `motools_build.evals`, which an eval may use like modules of its own.

Keys, records and messages name such a file `motools_build/evals/language.py`, wherever
the package is installed, so that another environment has the same keys and no record
holds a path of this machine. A project's own files are named by their path from the
project's root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

PACKAGE = ("motools_build", "evals")

NAMES = "motools_build/evals/"
"""How the names of these files begin."""

FOLDER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "evals"
)
"""Where they are installed."""


def place_of(name: str) -> str:
    """The path of a file by its name: of these files where they are installed, of any
    other the name itself, relative to the project's root."""
    if name.startswith(NAMES):
        return os.path.join(FOLDER, name[len(NAMES) :])
    return name


def shipped_name(path: str) -> str | None:
    """The name of one of these files by its absolute path; None for any other path."""
    below = path.startswith(FOLDER + os.sep)
    return NAMES + path[len(FOLDER) + 1 :].replace(os.sep, "/") if below else None


def modules(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Role and name of the modules that importing the dotted name `words` runs:
    `motools_build.evals.language.language` runs the package's own and `language`."""
    if tuple(words[:2]) != PACKAGE:
        return
    yield f"module:{'.'.join(PACKAGE)}", f"{NAMES}__init__.py"
    for depth in range(3, len(words) + 1):
        name = "/".join(words[:depth]) + ".py"
        if os.path.isfile(place_of(name)):
            yield f"module:{'.'.join(words[:depth])}", name
