"""Commands that messages name: pasted, they mean what they meant here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

_variables: tuple[str, ...] = ()


def remember(variables: Mapping[str, str]) -> None:
    """The variables of this command line without which a stage's name means another
    stage, or none."""
    global _variables
    _variables = tuple(f"{name}={value}" for name, value in variables.items())


def command(*words: str) -> str:
    """`doit retry STAGE model=...`: with the variables of this command line."""
    return shlex.join(("doit", *words, *_variables))
