"""Contrasts: the comparison that an experiment is about."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from motools_build.spec import Spec

BASE = "base"
"""The name of models without fine-tuning, in place of an arm's or a dataset's."""


class Contrast(Spec):
    """The difference of a metric between two groups of models, the first less the
    second: `Contrast("inoculated", "plain", eval="spanish", metric="mean")`.

    Groups are named by their arm, or by their dataset in a setting without arms;
    `base` is the base model without fine-tuning. With several base models, trainings or
    datasets of an arm, a contrast means the differences of all of them.
    """

    arm: str = Field(min_length=1)
    against: str = Field(min_length=1)
    eval: str = Field(min_length=1)
    """Name of the eval."""
    metric: str = Field(min_length=1)
    """Name of the metric, as `doit results` shows it: `accuracy`, `mean`."""
    scorer: str = ""
    """Name of the scorer; empty if one scorer alone has the metric."""

    def __init__(self, arm: str, against: str, **fields: Any) -> None:
        super().__init__(**{"arm": arm, "against": against, **fields})

    @model_validator(mode="after")
    def _has_two_sides(self) -> Contrast:
        if self.arm == self.against:
            raise ValueError(f"{self.arm!r} is compared with itself; name two groups")
        if self.arm == BASE:
            raise ValueError(
                f"name the base model second: Contrast({self.against!r}, {BASE!r}, ...)"
            )
        return self

    def __str__(self) -> str:
        metric = " ".join(filter(None, (self.eval, self.scorer, self.metric)))
        return f"{metric}: {self.arm} less {self.against}"
