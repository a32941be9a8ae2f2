"""The matrix of a setting: each arm's datasets x models x trainings, as lines."""

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
    """One dataset and one training of a base model on it, in all seeds."""

    dataset: Dataset
    training: Training
    label: str
    """The training's values that differ within the setting (`epochs3`); empty if there
    is only one training."""
    arms: tuple[str, ...]
    """Names of the arms that contain the line; `("",)` in a setting without arms, and
    empty for a teacher of another setting."""

    @cached_property
    def tags(self) -> tuple[str, ...]:
        return (*self.dataset.tags, *filter(None, self.arms))

    def path(self, model: str) -> str:
        """The line's part of a stage name: `dataset/model`, and `/training` if the
        setting has several trainings."""
        return f"{self.dataset.name}/{model}" + (f"/{self.label}" if self.label else "")

    def arms_of(self, an_eval: Eval) -> tuple[str, ...]:
        """The arms of the line in which this eval is applied to its models."""
        name, tags = self.dataset.name, self.dataset.tags
        return tuple(arm for arm in self.arms if an_eval.is_for(name, (*tags, arm)))


@dataclass(frozen=True)
class Draw:
    """One seed and replicate of a training: one fine-tuned model."""

    seed: int
    replicate: int
    """Number among the trainings with the same seed; 0 for the first."""
    spec: dict[str, object]
    """The training's fields, as they enter the model's key."""
    canonical_spec: bytes

    def __str__(self) -> str:
        return f"seed{self.seed}" + (f"-r{self.replicate}" if self.replicate else "")


def drawn(setting: Setting, training: Training, model: ModelName) -> tuple[Draw, ...]:
    """One draw for each seed and replicate of the setting. Raises InputError if the
    model's backend does not support a field of the training."""
    identity = training.identity_for(model)
    found = []
    for seed in setting.seeds:
        for n in range(setting.replicates):
            # the first replicate's key is the one of a setting without replicates
            spec = {**identity, "seed": seed, **({"replicate": n} if n else {})}
            found.append(Draw(seed, n, spec, canonical(spec)))
    return tuple(found)


def matrix(setting: Setting) -> dict[ModelName, tuple[Line, ...]]:
    """Every base model of the setting -> its lines; no lines for a model that is only
    evaluated."""
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
    """Arm, model, dataset and training of every combination."""
    for arm, datasets, models, trainings in setting.parts():
        for model in models:
            for dataset in datasets:
                for training in trainings:
                    yield arm, model, dataset, training
