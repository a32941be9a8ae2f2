"""What a setting trains: the lines of its matrix, each arm by each dataset, model and
training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from motools_build.keys import canonical
from motools_build.specs.dataset import Dataset
from motools_build.specs.eval import Eval
from motools_build.specs.grid import labels
from motools_build.specs.model_name import ModelName
from motools_build.specs.setting import Setting
from motools_build.specs.training import Training


@dataclass(frozen=True)
class Line:
    """One dataset, and one training on it, of a base model."""

    dataset: Dataset
    training: Training
    label: str
    """What of the training differs from the setting's others; empty if nothing."""
    arms: tuple[str, ...]
    """The arms that it belongs to; the name of none is empty."""

    @cached_property
    def tags(self) -> tuple[str, ...]:
        return (*self.dataset.tags, *filter(None, self.arms))

    def path(self, model: str) -> str:
        """Its part of a stage name: `dataset/model`, and `/training` in a grid."""
        return f"{self.dataset.name}/{model}" + (f"/{self.label}" if self.label else "")

    def arms_of(self, an_eval: Eval) -> tuple[str, ...]:
        """The arms in which the eval is asked of its models."""
        name, tags = self.dataset.name, self.dataset.tags
        return tuple(arm for arm in self.arms if an_eval.is_for(name, (*tags, arm)))


@dataclass(frozen=True)
class Draw:
    """One training of a spec."""

    seed: int
    replicate: int
    """Of the same seed; 0 for the first."""
    spec: dict[str, object]
    """What enters the model's key."""
    canonical_spec: bytes

    def __str__(self) -> str:
        return f"seed{self.seed}" + (f"-r{self.replicate}" if self.replicate else "")


def drawn(setting: Setting, training: Training, model: ModelName) -> tuple[Draw, ...]:
    """Each seed and replicate. Raises InputError if the model's backend cannot honour
    a field of the training."""
    identity = training.identity_for(model)
    found = []
    for seed in setting.seeds:
        for n in range(setting.replicates):
            # a replicate is in the key only where there are several
            spec = {**identity, "seed": seed, **({"replicate": n} if n else {})}
            found.append(Draw(seed, n, spec, canonical(spec)))
    return tuple(found)


def matrix(setting: Setting) -> dict[ModelName, tuple[Line, ...]]:
    """Every model of the setting, and what is trained from it; nothing from one that
    is only evaluated."""
    names = labels(setting.trainings())
    arms_of: dict[tuple[str, str, Training], list[str]] = {}
    lines: dict[str, dict[tuple[str, Training], Dataset]] = {}
    for arm, model, dataset, training in _points(setting):
        arms_of.setdefault((model, dataset.name, training), []).append(arm)
        lines.setdefault(model, {})[dataset.name, training] = dataset
    return {
        ModelName.parse(model): tuple(
            Line(d, t, names[t], tuple(arms_of[model, name, t]))
            for (name, t), d in lines.get(model, {}).items()
        )
        for model in setting.all_models()
    }


def _points(setting: Setting) -> Iterator[tuple[str, str, Dataset, Training]]:
    for arm, datasets, models, trainings in setting.parts():
        for model in models:
            for dataset in datasets:
                for training in trainings:
                    yield arm, model, dataset, training
