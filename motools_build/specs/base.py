"""The base of all specs, and what of a spec enters a key."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Frozen; an unknown field is an error, so that a typo cannot be ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    def identity(self) -> dict[str, Any]:
        """The fields that enter a key: those that differ from their default.

        A new field with a default thus keeps every old key.
        """
        return self.model_dump(mode="json", exclude_defaults=True)
