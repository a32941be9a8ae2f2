"""Question files: a YAML list of free-form questions, as in the work on emergent
misalignment. `questions` says what an entry may hold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from motools_build.evals.questions import Question, is_a_judge, question_of

MOST = 1_000_000
"""The most values that a file may stand for, with its YAML aliases written out."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # not built into every PyYAML


def selected(file: str, ids: str | list[str] | None) -> list[Question]:
    """The file's questions in its order, or those of them with these ids.

    Raises ValueError for a file that cannot be read, an id that it does not have, and a
    selected question that cannot be asked; the others are not looked at.
    """
    path = found(file)
    try:
        loaded = yaml.load(path.read_bytes(), LOADER)
        expanded = _values_in(loaded, {})
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: it is not YAML: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{file}: its values are nested too deep") from error
    if expanded > MOST:
        raise ValueError(
            f"{file}: its aliases stand for more than {MOST:,} values; write out what "
            "is meant"
        )
    if not isinstance(loaded, list) or not loaded:
        raise ValueError(
            f"{file}: it is not a list of questions; each begins with `- id: NAME`"
        )
    entries: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(loaded, start=1):
        name = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str | int) or name == "":
            raise ValueError(f"{file}: question {number} has no id; give it one")
        if str(name) in entries:
            raise ValueError(f"{file}: two questions are called {name}; rename one")
        entries[str(name)] = entry
    wanted = [ids] if isinstance(ids, str) else ids
    missing = [name for name in wanted or () if name not in entries]
    if missing:
        raise ValueError(
            f"{file}: it has no question {missing[0]}; it has {', '.join(entries)}"
        )
    return [
        question_of(entry, name, f"{file}: question {name}", entries)
        for name, entry in entries.items()
        if (not is_a_judge(entry) if wanted is None else name in wanted)
    ]


def _values_in(value: Any, counted: dict[int, float]) -> float:
    """How many values a YAML value holds with its aliases written out: a file of ten
    lines may stand for more than memory holds. Infinite for one that holds itself.
    `counted` remembers lists and mappings by identity."""
    if not isinstance(value, list | dict):
        return 1
    if id(value) not in counted:
        counted[id(value)] = math.inf  # of itself, until it is known
        items = [*value, *value.values()] if isinstance(value, dict) else value
        counted[id(value)] = 1 + sum(_values_in(item, counted) for item in items)
    return counted[id(value)]


def found(file: str) -> Path:
    """The path of a question file: from the working folder or the nearest folder above
    it that has the file, or of this package, `motools_build/evals/NAME.yaml`.

    Inspect makes a task inside the task's folder, so that a path beside the task and
    one from the project's root are both found. Raises ValueError if there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / file).is_file():
            return folder / file
    raise ValueError(
        f"{file}: there is no such file in the working folder, beside the task or "
        "above it; give its path from there, or an absolute one"
    )


def alike(questions: Iterable[Question], what: str, file: str) -> Any:
    """The value of the field `what`, which all questions must share, since Inspect has
    one for a task. Raises ValueError if they differ."""
    groups: dict[str, list[str]] = {}
    values = []
    for question in questions:
        value = getattr(question, what)
        values.append(value)
        groups.setdefault(str(value), []).append(question.id)
    if len(groups) > 1:
        told = "; ".join(f"{v} in {', '.join(ids)}" for v, ids in groups.items())
        raise ValueError(
            f"{file}: the questions differ in {what}: {told}; ask "
            "those of one kind at a time, with questions=ID,ID"
        )
    return values[0]
