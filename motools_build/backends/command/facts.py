"""What planning needs to know of models that a command of the user's own trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, model_validator

from motools_build.backends.command.declared import (
    NAME,
    PLACEHOLDERS,
    checked,
    declared,
)
from motools_build.errors import InputError
from motools_build.params import Recipe, Trainer
from motools_build.specs.backends import BackendFacts
from motools_build.specs.dataset import Dataset
from motools_build.specs.training import Options, held_out_rows


class Command(Options):
    """Options of a training by a command: any names, with one text, number or truth
    value each, which take the place of `{NAME}` in the command."""

    model_config = ConfigDict(extra="allow")

    validation: str | Dataset = ""
    """Held-out rows for `{validation}`: a JSONL file, or a dataset. Their bytes enter
    the key."""

    # options of any name: pydantic checks them, and mypy cannot
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    @model_validator(mode="after")
    def _are_values(self) -> Command:
        for name, value in (self.model_extra or {}).items():
            if name in PLACEHOLDERS:
                raise ValueError(f"{name}: it is filled in for each training; leave it")
            if not isinstance(value, str | int | float | bool):
                raise ValueError(
                    f"{name}: it is a text, a number or a truth value, not {value!r}"
                )
        return self

    def identity(self) -> dict[str, Any]:
        return self.model_dump(
            mode="json", exclude_defaults=True, exclude={"validation"}
        )

    def held_out(self) -> Dataset | None:
        return held_out_rows(self.validation)


@dataclass(frozen=True)
class CommandFacts(BackendFacts):
    """Models are named by the command that trains them."""

    def model_problem(self, model: str) -> str | None:
        if not NAME.fullmatch(model):
            return f"{model!r} is not the name of a command"
        try:
            declared(model)
        except InputError as error:
            return str(error)
        return None

    def base_of(self, model: str) -> str | None:
        return declared(model).base

    def trainer(self, model: str, recipe: Recipe) -> Trainer | None:
        return checked(declared(model), recipe)


BACKEND = CommandFacts(
    name="command",
    effects="motools_build.backends.command.backend:CommandBackend",
    methods=("sft", "dpo"),
    options=Command,
    on_disk=True,
)
