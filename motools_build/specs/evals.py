"""Evals: Inspect tasks, and what of them enters a key."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, ClassVar

from pydantic import Field, JsonValue, field_validator, model_validator

from motools_build.keys import canonical
from motools_build.specs.base import Spec, checked_name

FILE_TASK = re.compile(r"^(?P<file>[^@]+\.py)@(?P<task>[A-Za-z_]\w*)$")
DUMMY_TASK = re.compile(r"^dummy/(?P<task>[A-Za-z0-9_.-]+)$")


class Eval(Spec):
    """An Inspect task: `Eval("zoo/evals/arithmetic.py@arithmetic")`.

    `Eval("dummy/score")` is the dummy eval: instant, free and deterministic. A field
    left at None means the task's own value.
    """

    OVERRIDES: ClassVar[tuple[str, ...]] = (
        *("args", "limit", "epochs"),
        *("temperature", "max_tokens", "seed"),
    )
    """Fields that are Inspect's own, passed on as they are."""

    task: str
    name: str = ""
    """What stages are called by; the task's own name if not given."""
    tags: tuple[str, ...] = ()
    args: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the task's function."""
    data: tuple[str, ...] = ()
    """Files the task reads that its source does not name literally."""
    limit: int | None = Field(default=None, ge=1, lt=2**53)
    """Samples, from the first."""
    epochs: int | None = Field(default=None, ge=1, lt=2**53)
    """Answers to each sample."""
    temperature: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1, lt=2**53)
    seed: int | None = Field(default=None, ge=0, lt=2**53)
    checkpoint: int | None = Field(default=None, gt=-(2**31), lt=2**31)
    """Which of the model's checkpoints, where its backend keeps some: a step, or -1
    for the last, -2 for the one before; None is the model itself."""

    roles: dict[str, str] = Field(default_factory=dict)
    """Judges: Inspect's model roles, `{"grader": "openai/gpt-4.1-2025-04-14"}`. A
    provider's are asked with the setting's account."""

    def __init__(self, task: str, **fields: Any) -> None:
        super().__init__(**{"task": task, **fields})

    @field_validator("task")
    @classmethod
    def _is_a_task(cls, task: str) -> str:
        if not (FILE_TASK.match(task) or DUMMY_TASK.match(task)):
            raise ValueError(
                f"{task!r} is not a task: write path/to/file.py@task, or dummy/NAME"
            )
        return task

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return checked_name(name)

    @field_validator("args")
    @classmethod
    def _are_json(cls, args: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            canonical(args)
        except ValueError as error:
            raise ValueError(f"{args} cannot be written as JSON: {error}") from error
        return args

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_task(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(fields, dict):
            return fields
        task = fields.get("task")
        if not fields.get("name") and isinstance(task, str):
            return {**fields, "name": re.split("[@/]", task)[-1]}
        return fields

    @property
    def file(self) -> str | None:
        """The task file's path; None for a dummy eval."""
        match = FILE_TASK.match(self.task)
        return str(PurePath(match["file"])) if match else None

    @property
    def function(self) -> str:
        """The task's name in its file, or the dummy eval's name."""
        return re.split("[@/]", self.task)[-1]

    @property
    def backend(self) -> str:
        return "inspect" if self.file else "dummy"

    def identity(self) -> dict[str, Any]:
        """What enters the key: not the path, nor names and tags; files enter by
        their bytes."""
        fields = self.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={"task", "name", "tags", "data", "roles"},
        )
        return {**fields, "task": self.function}
