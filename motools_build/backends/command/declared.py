"""The commands that train models, as `[tool.motools_build.commands.NAME]` of
pyproject.toml declares them.

A command is a program and its arguments; no shell reads it. Arguments have placeholders
in braces, which `PLACEHOLDERS` lists; any other one is an option of the training.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from motools_build.errors import InputError
from motools_build.keys import signature
from motools_build.params import Recipe, Trainer
from motools_build.pyproject import PYPROJECT, document
from motools_build.text.similar import known

NAME = re.compile(r"[A-Za-z0-9_.-]+")

FIELDS = ("run", "base", "files", "gpus")

OPERATORS = {"&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1", "&>"}

SHELLS = re.compile(r"~(/.*)?|\S*\$[A-Za-z_]\S*")
"""A word that a shell would replace: `~/train.py`, `$HOME/train.py`."""

ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)

NEEDED = ("dataset", "output", "seed")
"""Placeholders that each command must have: without one, all models would be alike."""

PLACEHOLDERS = (
    *NEEDED,
    *("base", "epochs", "batch_size", "method", "resume", "validation"),
)
"""The names in braces that are filled in for each training; see
docs/guides/trainers.md."""


def commands() -> Mapping[str, Any]:
    """Name -> declaration, unchecked, of the project's commands. The project's folder
    is the working directory."""
    path = Path(PYPROJECT).absolute()
    try:
        return _commands_of(path, tuple(signature(path.stat())))
    except FileNotFoundError:
        return {}


@lru_cache(8)
def _commands_of(path: Path, signature: tuple[int, ...]) -> Mapping[str, Any]:
    """The commands of a file with this signature: a plan asks for each of its models
    anew."""
    section: Any = document(Path(path.name))  # as errors name it
    for name in ("tool", "motools_build", "commands"):
        section = section.get(name, {}) if isinstance(section, dict) else {}
    return section if isinstance(section, dict) else {}


def declared(name: str) -> Trainer:
    """The declaration of a command. Raises InputError, with the field and the remedy,
    if there is none or it is wrong."""
    given = commands().get(name)
    if given is None:
        raise InputError(
            f"{PYPROJECT} declares no command {name!r}; {known(name, commands())}; a "
            f"command is a table [tool.motools_build.commands.{name}] with run = "
            '"python train.py {dataset} {output} --seed {seed}" and '
            'base = "local/./path"'
        )
    if not isinstance(given, dict):
        raise _wrong(name, f"it is a table, not {given!r}")
    for field in given:
        if field not in FIELDS:
            raise _wrong(name, f"there is no {field!r}; {known(field, FIELDS)}")
    run, base = given.get("run"), given.get("base")
    if not isinstance(run, str) or not run.strip():
        raise _wrong(name, f"run is the command line, not {run!r}")
    if not isinstance(base, str) or not base.startswith("local/"):
        raise _wrong(
            name,
            "base is the model that the command begins with, for example "
            f'"local/./models/qwen", not {base!r}',
        )
    files, gpus = given.get("files", []), given.get("gpus", 1)
    if not isinstance(files, list) or not all(isinstance(one, str) for one in files):
        raise _wrong(name, f"files is a list of paths or patterns, not {files!r}")
    if type(gpus) is not int or gpus < 0:
        raise _wrong(name, f"gpus is a number of GPUs, 0 or more, not {gpus!r}")
    missing = [one for one in NEEDED if one not in _placeholders(name, run)]
    if missing:
        raise _wrong(
            name,
            f"run has no {{{missing[0]}}}, so that "
            + {
                "dataset": "all datasets would give the same model",
                "output": "nobody would know where the model is",
                "seed": "all seeds would give the same model",
            }[missing[0]],
        )
    _refuse_shell(name, shlex.split(run))
    return Trainer(name, run, base, tuple(files), gpus)


def checked(trainer: Trainer, recipe: Recipe) -> Trainer:
    """The command itself. Raises InputError unless it uses every field of the training
    and the training has a value for each of its placeholders."""
    asked = _placeholders(trainer.name, trainer.run)
    there = {*PLACEHOLDERS, *recipe.options}
    for one in asked:
        if one not in there:
            raise InputError(
                f"training: the command {trainer.name} asks for {{{one}}}; give it: "
                f"Training(command=Command({one}=...))"
            )
    if "validation" in asked and not recipe.options.get("validation"):
        raise InputError(
            f"training: the command {trainer.name} asks for {{validation}}; give it: "
            "Training(command=Command(validation=DATASET))"
        )
    for option, value in recipe.options.items():
        if option not in asked and value != "":
            raise InputError(
                f"training.command.{option}: the command {trainer.name} does not use "
                f"it; write {{{option}}} into its run, or leave it out"
            )
    defaults = {"epochs": (3, 1), "batch_size": (8,)}  # one epoch: a smoke run
    for field, unsaid in defaults.items():
        if field not in asked and getattr(recipe, field) not in unsaid:
            raise InputError(
                f"training.{field}: the command {trainer.name} does not use it; write "
                f"{{{field}}} into its run, or leave it out"
            )
    return trainer


def arguments(trainer: Trainer, values: Mapping[str, Any]) -> list[str]:
    """The program and its arguments, with the values in place of the placeholders."""
    return [word.format_map(values) for word in shlex.split(trainer.run)]


def _refuse_shell(name: str, words: list[str]) -> None:
    """Raises InputError for what only a shell understands: the program would be given
    it as it is, and might do something else than what is written there."""
    for word in words:
        if word in OPERATORS or SHELLS.fullmatch(word):
            raise _wrong(
                name,
                f"run: no shell reads it, so that {word!r} would be an argument; write "
                "the commands into a file: "
                'run = "bash train.sh {dataset} {output} {seed}"',
            )
    if ASSIGNMENT.fullmatch(words[0]):
        raise _wrong(
            name,
            f"run: no shell reads it, so that {words[0]!r} sets no variable; begin it "
            f"with env: env {words[0]}",
        )


def _placeholders(name: str, run: str) -> list[str]:
    try:
        return list(dict.fromkeys(_named(run)))
    except ValueError as error:
        raise _wrong(name, f"run: {error}; write a literal brace twice") from error


def _named(run: str) -> Iterator[str]:
    for word in shlex.split(run):
        for _, name, spec, conversion in Formatter().parse(word):
            if name is None:
                continue
            if spec or conversion or not name.isidentifier():
                raise ValueError(f"{{{name}}} is no name of a value")
            yield name


def _wrong(name: str, problem: str) -> InputError:
    return InputError(f"{PYPROJECT}: [tool.motools_build.commands.{name}]: {problem}")
