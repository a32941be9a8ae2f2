"""Commands inside messages, with the variables that they need to work when pasted."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping

_variables: dict[str, str] = {}
_of_runs: dict[str, str] = {}


def remember(
    variables: Mapping[str, str], of_runs: Mapping[str, str] | None = None
) -> None:
    """Store the variables of this command line that change a plan. A hint repeats them,
    because without them a stage's name means another stage, or none.

    `of_runs` are those that say who does the work: a hint to run repeats them, too,
    because without them the rest would be made elsewhere."""
    global _variables, _of_runs
    _variables, _of_runs = dict(variables), dict(of_runs or {})


def command(name: str, *words: str, without: Collection[str] = ()) -> str:
    """A shell-quoted doit command with the variables of this command line except those
    of `without`, such as `doit retry STAGE model=...`."""
    if name == "run" and "until" in _variables:  # which takes whole settings
        words = tuple(dict.fromkeys(_setting_of(word) for word in words))
    variables = {**_variables, **(_of_runs if name == "run" else {})}
    given = (f"{n}={value}" for n, value in variables.items() if n not in without)
    return shlex.join(("doit", name, *words, *given))


def _setting_of(word: str) -> str:
    """The setting of a stage's name; any other word as it is."""
    _, is_stage, path = word.partition(":")
    return path.partition("/")[0] if is_stage else word
