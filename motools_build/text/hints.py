"""Commands inside messages, with the variables that they need to work when pasted."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping

_variables: dict[str, str] = {}


def remember(variables: Mapping[str, str]) -> None:
    """Store the variables of this command line that change a plan. A hint repeats them,
    because without them a stage's name means another stage, or none."""
    global _variables
    _variables = dict(variables)


def command(name: str, *words: str, without: Collection[str] = ()) -> str:
    """A shell-quoted doit command with the variables of this command line except those
    of `without`, such as `doit retry STAGE model=...`."""
    if name == "run" and "until" in _variables:  # which takes whole settings
        words = tuple(dict.fromkeys(_setting_of(word) for word in words))
    given = (f"{n}={value}" for n, value in _variables.items() if n not in without)
    return shlex.join(("doit", name, *words, *given))


def _setting_of(word: str) -> str:
    """The setting of a stage's name; any other word as it is."""
    _, is_stage, path = word.partition(":")
    return path.partition("/")[0] if is_stage else word
