"""The base of all specs, and what of a spec enters a key."""

from __future__ import annotations

import re
from typing import Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


class Spec(BaseModel):
    """Frozen; an unknown field is an error, so that a typo cannot be ignored."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False
    )

    def identity(self) -> dict[str, Any]:
        """The fields that enter a key: those that differ from their default.

        A new field with a default thus keeps every old key.
        """
        return self.model_dump(mode="json", exclude_defaults=True)


def _as_tuple(value: Any) -> Any:
    """Frozen, as specs are; one value may stand for a list of one."""
    if value is None or isinstance(value, tuple):
        return value
    return tuple(value) if isinstance(value, (list, range)) else (value,)


def _not_empty(values: Any) -> Any:
    if values is not None and not len(values):
        raise ValueError("at least one is needed")
    return values


DATA = "data.jsonl"
"""The rows of a dataset that is an artifact."""

PROVENANCE = "provenance.jsonl"
"""Beside them: a line for each row, of where it comes from."""

Many = BeforeValidator(_as_tuple)
Some = AfterValidator(_not_empty)


def as_name(text: str) -> str:
    """A text as a name, with dashes for what no name can have."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)


def checked_name(name: str) -> str:
    """A name that stage names can carry. Raises ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(
            f"{name!r} cannot be part of a stage name; give it a name= of letters, "
            "digits, dots, dashes and underscores"
        )
    return name
