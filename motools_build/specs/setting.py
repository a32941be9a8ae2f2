"""A setting: datasets x models x seeds x evals, declared in one module of zoo/."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictInt, field_validator, model_validator

from motools_build.specs.base import Spec
from motools_build.specs.dataset import Dataset
from motools_build.specs.evals import Eval
from motools_build.specs.models import ModelName
from motools_build.specs.training import Training


def _as_tuple(value: Any) -> Any:
    """Frozen, as the setting is; one value may stand for a list of one."""
    return tuple(value) if isinstance(value, (list, tuple, range)) else (value,)


Many = BeforeValidator(_as_tuple)


class Setting(Spec):
    """What a module of zoo/ assigns to `setting`; its name is the module's."""

    description: str
    """One line, shown by `doit list`."""
    datasets: Annotated[Sequence[Dataset], Many]
    models: Annotated[Sequence[str], Many]
    """Base models, each `backend/model`."""
    training: Training = Training()
    seeds: Annotated[Sequence[StrictInt], Many] = (0,)
    replicates: int = Field(default=1, ge=1, le=1000)
    """Trainings of each seed, where a backend's seed does not fix the weights."""
    evals: Annotated[Sequence[Eval], Many] = ()
    account: str = "default"
    """Who pays, of the accounts in pyproject.toml; in no key."""
    controls: bool = True
    """Whether the base models are evaluated too."""

    @field_validator("datasets", "models", "seeds")
    @classmethod
    def _not_empty(cls, values: Sequence[Any]) -> Sequence[Any]:
        if not values:
            raise ValueError("at least one is needed")
        return values

    @field_validator("seeds")
    @classmethod
    def _seeds_are_seeds(cls, seeds: Sequence[int]) -> Sequence[int]:
        for seed in seeds:
            if not 0 <= seed < 2**32:
                raise ValueError(f"a seed lies between 0 and 2**32 - 1, not {seed}")
        return seeds

    @model_validator(mode="after")
    def _names_are_unique(self) -> Setting:
        for field, names in (
            ("datasets", [dataset.name for dataset in self.datasets]),
            ("models", list(self.models)),
            ("seeds", [str(seed) for seed in self.seeds]),
            ("evals", [e.name for e in self.evals]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(
                    f"{field}: {', '.join(sorted(twice))} is given twice; "
                    "give one of them another name="
                    if field in ("datasets", "evals")
                    else f"{field}: {', '.join(sorted(twice))} is given twice"
                )
        if "base" in {dataset.name for dataset in self.datasets}:
            raise ValueError("datasets: the name 'base' means the base model's own")
        return self

    def base_models(self) -> tuple[ModelName, ...]:
        """The base models, parsed. Raises InputError for one that does not exist."""
        return tuple(ModelName.parse(name) for name in self.models)
