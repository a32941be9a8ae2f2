"""The files that a command of the project's own names, for planning."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from motools_build.errors import EvalError, InputError
from motools_build.params import Trainer
from motools_build.task_code.reads import declared_files
from motools_build.task_code.scan import module_files


def scripts(run: str) -> Iterator[str]:
    """The files of the project that a command line names: an argument, the part of one
    after `=`, or a module after `-m`."""
    before = ""
    for word in shlex.split(run):
        for name in dict.fromkeys((word, word.rpartition("=")[2])):
            if not os.path.isabs(name) and os.path.isfile(name):
                yield name
        if before == "-m":
            yield from map(str, module_files((PurePosixPath(),), word.split(".")))
        before = word


def declared(trainer: Trainer) -> Iterator[str]:
    """The files that a command declares besides. Raises InputError for a folder or a
    pattern without files."""
    try:
        yield from declared_files(trainer.files, f"command {trainer.name}: files")
    except EvalError as error:
        raise InputError(str(error)) from error
