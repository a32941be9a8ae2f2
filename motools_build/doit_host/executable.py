"""The executable `motools`: runs doit's commands if `doit` is not on the PATH."""

from __future__ import annotations

import sys
from pathlib import Path

from motools_build.doit_host.main import run
from motools_build.errors import InputError
from motools_build.project.config import is_project
from motools_build.pyproject import PYPROJECT, document

ANYWHERE = ("new", "help", "--help", "--version")
"""Commands and options that need no project."""


def main() -> int:
    """Run this process's command line, and return the exit code.

    If pyproject.toml cannot be read, or the folder has no project, prints what to do
    and returns 3; doit itself would show a traceback, or find no tasks.
    """
    words = sys.argv[1:]
    try:
        there = is_project(document(Path(PYPROJECT)))
        if not there and not (words and words[0] in ANYWHERE):
            raise InputError(_no_project(Path.cwd()))
    except InputError as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return 3
    return run(words)


def _no_project(here: Path) -> str:
    for folder in here.parents:
        if is_project(document(folder / PYPROJECT)):
            return f"{here} is part of the project in {folder}: go there and run again"
    return (
        f"there is no project in {here}; begin one there (`motools new NAME`), or go "
        f'to one (its {PYPROJECT} has a section [tool.doit] with loader = "motools")'
    )
