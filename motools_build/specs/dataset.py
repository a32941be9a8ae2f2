"""Datasets: JSONL files of chat rows."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from pydantic import field_validator, model_validator

from motools_build.specs.base import Spec, checked_name


class Dataset(Spec):
    """A JSONL file of chats, one a line: `{"messages": [{"role", "content"}, ...]}`.

    `Dataset("datasets/simple_math/math_tutor.jsonl")`; the path is relative to the
    project's root. Only the file's bytes enter keys, never its path, name or tags.
    """

    path: str
    name: str = ""
    """What stages are called by; the file's stem if not given."""
    tags: tuple[str, ...] = ()

    def __init__(self, path: str, **fields: Any) -> None:
        super().__init__(**{"path": path, **fields})

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return checked_name(name)

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_file(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(fields, dict):
            return fields
        path = fields.get("path")
        if not fields.get("name") and isinstance(path, str):
            return {**fields, "name": PurePath(path).stem}
        return fields
