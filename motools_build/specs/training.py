"""How a base model is fine-tuned."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from motools_build.errors import InputError
from motools_build.spec import Spec
from motools_build.specs.dataset import Dataset
from motools_build.specs.grid import Gridded
from motools_build.specs.model_name import ModelName


class LoRA(Gridded):
    """The embedded engine's own options: LoRA on all linear layers, Adam."""

    rank: int = Field(default=8, ge=1, le=256)
    alpha: float = Field(default=16, gt=0)
    """The adapter is scaled by alpha / rank."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """The peak: after a warm-up over 10 % of the steps, linear decay to 0."""
    max_length: int = Field(default=512, ge=8, le=2048)
    """Tokens a row may have; a longer row is refused, never cut. Memory grows with
    its square: four rows of 433 tokens take 3.9 GB."""


class OpenAI(Gridded):
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


class Training(Gridded):
    """What all backends share, and one optional sub-spec for each.

    Only the chosen backend's sub-spec enters a model's key; a shared field that the
    backend cannot honour is refused.
    """

    method: Literal["sft", "dpo"] = "sft"
    epochs: int = Field(default=3, ge=1, le=100_000)
    batch_size: int = Field(default=8, ge=1, lt=2**31)
    """Rows a step."""
    embedded: LoRA = LoRA()
    openai: OpenAI = OpenAI()

    def identity_for(self, model: ModelName) -> dict[str, Any]:
        """What enters the key of a model trained by this backend.

        Raises InputError if the backend cannot honour a field.
        """
        facts = model.facts
        if self.method not in facts.methods:
            raise InputError(
                f"training.method: the {model.backend} backend cannot train by "
                f"{self.method!r}; it can by {', '.join(facts.methods)}"
            )
        shared = {"epochs": self.epochs, "batch_size": self.batch_size}
        if self.method != "sft":
            shared["method"] = self.method  # type: ignore[assignment]
        if self.method != "dpo" and self.openai.beta is not None:
            raise InputError("training.openai.beta: only method='dpo' has one")
        if facts.options is None:
            return shared
        options: Spec = getattr(self, facts.options)
        return {**shared, facts.options: options.identity()}

    def options_for(self, model: ModelName) -> dict[str, Any]:
        """Every field that the backend needs, defaults included."""
        own = {f.options for f in _all_facts() if f.options}
        options = model.facts.options
        fields = self.model_dump(mode="json", exclude=own - {options})
        return fields


def _all_facts() -> Any:
    from motools_build.specs.model_name import BACKENDS

    return BACKENDS.values()
