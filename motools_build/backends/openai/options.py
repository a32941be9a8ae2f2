"""The options of the fine-tuning API, as a spec."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from motools_build.errors import InputError
from motools_build.specs import Dataset
from motools_build.specs.training import Options


class OpenAI(Options):
    """The OpenAI fine-tuning API's own options; None leaves a choice to it."""

    learning_rate_multiplier: float | None = Field(default=None, gt=0)
    beta: float | None = Field(default=None, gt=0, le=2)
    """Of dpo: how close to stay to the base model."""
    validation: str | Dataset = ""
    """A JSONL file of held-out rows, or a dataset, `rows.split(0.9)[1]`; its loss is
    recorded. Its bytes enter the key."""
    suffix: str = Field(default="", max_length=64)
    """In the model's ID; the dataset's name and the seed if not given. In no key."""

    def identity(self) -> dict[str, Any]:
        return self.model_dump(
            mode="json", exclude_defaults=True, exclude={"validation", "suffix"}
        )

    def check(self, method: str) -> None:
        if method != "dpo" and self.beta is not None:
            raise InputError("training.openai.beta: only method='dpo' has one")

    def held_out(self) -> Dataset | None:
        if not self.validation or isinstance(self.validation, Dataset):
            return self.validation or None
        return Dataset(self.validation)
