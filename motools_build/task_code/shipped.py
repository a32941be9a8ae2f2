"""Names of the files in `motools_build.evals`, which a project's evals may import.

Keys, records and messages name such a file `motools_build/evals/language.py`, wherever
the package is installed. So keys are the same in all environments, and records contain
no path of this machine. A project's own files are named by their path from its root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

PACKAGE = ("motools_build", "evals")

NAMES = "motools_build/evals/"
"""Prefix of the names of these files."""

FOLDER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "evals"
)
"""The folder in which they are installed."""


def place_of(name: str) -> str:
    """The path of a file by its name: the installed path for a file of
    `motools_build.evals`; else the name itself, relative to the project's root."""
    if name.startswith(NAMES):
        return os.path.join(FOLDER, name[len(NAMES) :])
    return name


def shipped_name(path: str) -> str | None:
    """The name of a file of `motools_build.evals` by its absolute path; None for any
    other file."""
    below = path.startswith(FOLDER + os.sep)
    return NAMES + path[len(FOLDER) + 1 :].replace(os.sep, "/") if below else None


def modules(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Role and name of the modules of `motools_build.evals` that an import of the
    dotted name `words` executes. For `motools_build.evals.language.language`, these are
    the package's `__init__.py` and `language.py`."""
    if tuple(words[:2]) != PACKAGE:
        return
    yield f"module:{'.'.join(PACKAGE)}", f"{NAMES}__init__.py"
    for depth in range(3, len(words) + 1):
        name = "/".join(words[:depth]) + ".py"
        if os.path.isfile(place_of(name)):
            yield f"module:{'.'.join(words[:depth])}", name
