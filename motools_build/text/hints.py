"""Commands inside messages, with the variables that they need to work when pasted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

_variables: tuple[str, ...] = ()


def remember(variables: Mapping[str, str]) -> None:
    """Store the variables of this command line that change a plan. A hint repeats them,
    because without them a stage's name means another stage, or none."""
    global _variables
    _variables = tuple(f"{name}={value}" for name, value in variables.items())


def command(*words: str) -> str:
    """A shell-quoted doit command with the variables of this command line, such as
    `doit retry STAGE model=...`."""
    return shlex.join(("doit", *words, *_variables))
