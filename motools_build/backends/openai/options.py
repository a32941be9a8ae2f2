"""The spec `OpenAI`: the fine-tuning API's own options."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from motools_build.errors import InputError
from motools_build.specs import Dataset
from motools_build.specs.training import Options, held_out_rows


class OpenAI(Options):
    """The OpenAI fine-tuning API's own options; None leaves the choice to the API."""

    learning_rate_multiplier: float | None = Field(default=None, gt=0)
    beta: float | None = Field(default=None, gt=0, le=2)
    """For method="dpo" only: how close the model stays to the base model."""
    validation: str | Dataset = ""
    """Held-out rows: a JSONL file, or a dataset such as `rows.split(0.9)[1]`. The loss
    on them is recorded. The rows' bytes enter the key."""
    suffix: str = Field(default="", max_length=64)
    """A part of the model's ID; by default the dataset's name and the seed. It enters
    no key."""

    def identity(self) -> dict[str, Any]:
        return self.model_dump(
            mode="json", exclude_defaults=True, exclude={"validation", "suffix"}
        )

    def check(self, method: str) -> None:
        if method != "dpo" and self.beta is not None:
            raise InputError("training.openai.beta: only method='dpo' has one")

    def held_out(self) -> Dataset | None:
        return held_out_rows(self.validation)
