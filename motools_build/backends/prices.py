"""Prices of tokens, from a table that the user writes; none is shipped.

    [tool.motools_build.prices]
    "gpt-4.1-mini-2025-04-14" = {training = 5.0, input = 0.8, output = 3.2}

in USD per million tokens. Without a price the cost is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from motools_build.errors import InputError
from motools_build.text.similar import known

FIELDS = ("training", "input", "output")
MILLION = 1_000_000
HERE = ("motools/", "mockllm/", "none/")
"""Prefixes of Inspect's names for models that cost nothing."""
WHERE = "pyproject.toml: [tool.motools_build.prices]"


@dataclass(frozen=True)
class Prices:
    """The price table: model -> a field of FIELDS -> USD per million tokens."""

    models: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, section: object) -> Prices:
        """The prices in a table `prices` of pyproject.toml. Raises InputError if an
        entry is not a table of prices."""
        if not isinstance(section, Mapping):
            raise InputError(f"{WHERE} is a table of models, not {section!r}")
        return cls({model: _entry(model, entry) for model, entry in section.items()})

    def training(self, model: str, tokens: int) -> float | None:
        """USD for training on `tokens`, the sum over all epochs; None if there is no
        price."""
        price = self._price(model, "training")
        return None if price is None else price * tokens / MILLION

    def inference(
        self, model: str, input_tokens: int, output_tokens: int
    ) -> float | None:
        """USD for so many tokens read and written by a model; None if there is no
        price. A fine-tune costs what its base costs, unless the table has
        `"ft:BASE"`."""
        asked = self._price(model, "input")
        told = self._price(model, "output")
        if asked is None or told is None:
            return None
        return (asked * input_tokens + told * output_tokens) / MILLION

    def usage(self, used: Mapping[str, tuple[int, int]]) -> float | None:
        """USD for the (input, output) tokens of models, by their names in Inspect; None
        if a price is missing. Models of this machine cost nothing."""
        costs = [
            self.inference(model.partition("/")[2], asked, told)
            for model, (asked, told) in used.items()
            if not model.startswith(HERE)
        ]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def _price(self, model: str, name: str) -> float | None:
        for entry in _entries(model):
            if name in self.models.get(entry, {}):
                return self.models[entry][name]
        return None


def _entries(model: str) -> tuple[str, ...]:
    """Entries to look up, in order: `ft:gpt-4o:org::id`, `ft:gpt-4o`, `gpt-4o`."""
    if not model.startswith("ft:"):
        return (model,)
    base = model.split(":")[1]
    return model, f"ft:{base}", base


def _entry(model: str, entry: Any) -> dict[str, float]:
    if not isinstance(entry, Mapping) or not entry:
        raise InputError(
            f"{WHERE} {model!r} is {entry!r}: write a table, "
            "{training = 5.0, input = 0.8, output = 3.2}"
        )
    for name, price in entry.items():
        if isinstance(price, Mapping):
            raise InputError(
                f"{WHERE} {model!r} has a table {name!r}: write the model's name in "
                'quotes, "gpt-4.1" = {...}; in TOML a bare dot nests tables'
            )
        if name not in FIELDS:
            raise InputError(
                f"{WHERE} {model!r} has no {name!r}; {known(name, FIELDS)}"
            )
        number = isinstance(price, int | float) and not isinstance(price, bool)
        if not number or not math.isfinite(price) or price < 0:
            raise InputError(
                f"{WHERE} {model!r}: {name} is {price!r}: write USD per million tokens"
            )
    return {name: float(price) for name, price in entry.items()}
