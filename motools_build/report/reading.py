"""Sentences about files and variables that an eval read and that are not in its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from motools_build.store.artifacts import OBSERVED
from motools_build.store.records import Record
from motools_build.task_code.reads import ABSENT

SHOWN = 3
"""Most names in a line; `doit why` shows all."""


def told(record: Record) -> Iterator[str]:
    """A sentence about the files, and one about the environment variables, that an eval
    read; none if it read none."""
    observed = record.details.get(OBSERVED, {})
    files = [name for name, digest in observed.items() if digest != ABSENT]
    if files:
        line = f"it read {_some(files)}, not in its key: a change of it re-runs it"
        # a separate scorer has no field `data`
        if "scorer" not in record.preimage["spec"]:
            declared = ", ".join(f'"{name}"' for name in _without_contents(files))
            line += f"; to have it in the key: Eval(data=[{declared}])"
        yield line
    variables = record.details.get("variables")
    if variables:
        what = "variable" if len(variables) == 1 else "variables"
        yield f"its code reads the environment {what} {_some(variables)}: in no key"


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _without_contents(names: Iterable[str]) -> list[str]:
    """The names to declare as data: without the contents of a folder that is named
    itself."""
    declared: list[str] = []
    for name in sorted(names):
        if not any(name.startswith(d) for d in declared if d.endswith("/")):
            declared.append(name)
    return declared
