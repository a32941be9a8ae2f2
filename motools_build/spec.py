"""The base class of all specs, which says which fields enter a key."""

from __future__ import annotations

import re
from typing import Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    model_validator,
)

HALF = re.compile("[\ud800-\udfff]")
"""Lone surrogates: half of a character, which UTF-8 cannot encode."""

DEEPEST = 100
"""Deepest nesting of lists and objects in a field."""

MOST = 100_000
"""Largest number of values in a list field, since each makes at least one stage."""


class Spec(BaseModel):
    """Base class of specs. They are frozen, and an unknown field is an error, so that a
    typo is not ignored."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _can_be_written(cls, fields: Any) -> Any:
        for name, value in fields.items() if isinstance(fields, dict) else ():
            problem = _text_problem(value)
            if problem:
                raise ValueError(f"{name}: {problem}")
        return fields

    def identity(self) -> dict[str, Any]:
        """The fields that enter a key: those that differ from their default. So adding
        a field with a default changes no existing key."""
        return self.model_dump(mode="json", exclude_defaults=True)


def _text_problem(value: Any) -> str | None:
    """The problem of a field whose texts cannot be written as UTF-8 or whose nesting is
    too deep; else None."""
    waiting = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, str):
            if "\0" in one:
                return "a NUL is no part of a text or of a path"
            if HALF.search(one):
                return (
                    "half a character (a lone surrogate) cannot be written as UTF-8; "
                    "a file whose name has one needs another name"
                )
        elif depth > DEEPEST:
            return f"it is nested more than {DEEPEST} deep"
        elif isinstance(one, dict):
            waiting += [(item, depth + 1) for pair in one.items() for item in pair]
        elif isinstance(one, list | tuple):
            waiting += [(item, depth + 1) for item in one]
    return None


def _as_tuple(value: Any) -> Any:
    """A list field as a tuple, since specs are frozen. A single value becomes a tuple
    of one. Raises ValueError for too many values."""
    if isinstance(value, list | tuple | range) and len(value) > MOST:
        raise ValueError(f"{len(value):,} values are too many; give {MOST:,} at most")
    if value is None or isinstance(value, tuple):
        return value
    return tuple(value) if isinstance(value, (list, range)) else (value,)


def _not_empty(values: Any) -> Any:
    if values is not None and not len(values):
        raise ValueError("at least one is needed")
    return values


Many = BeforeValidator(_as_tuple)
"""Annotation of a list field."""
Some = AfterValidator(_not_empty)
"""Annotation of a list field that must not be empty."""


def as_name(text: str) -> str:
    """A text as a name: characters that names cannot have become dashes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)


def checked_name(name: str) -> str:
    """The name itself. Raises ValueError if it cannot be part of a stage name."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(
            f"{name!r} cannot be part of a stage name; give it a name= of letters, "
            "digits, dots, dashes and underscores"
        )
    return name
