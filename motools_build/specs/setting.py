"""A setting: datasets x models x trainings x seeds x evals, in one module of zoo/."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import (
    Field,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from motools_build.spec import Many, Some, Spec
from motools_build.specs.arm import Arm
from motools_build.specs.contrast import BASE, Contrast
from motools_build.specs.dataset import Dataset
from motools_build.specs.model_name import ModelName
from motools_build.specs.sampled import lessons
from motools_build.specs.selection import Datasets, Evals
from motools_build.specs.training import Training
from motools_build.text.similar import known

MOST_STAGES = 1_000_000
"""Largest number of stages in a setting: planning that many takes a minute, and each
prints a line on the terminal."""


class Setting(Spec):
    """The declaration of an experiment. A module of zoo/ assigns it to the variable
    `setting`, and the module's name is the setting's name."""

    description: str
    """One line, shown by `doit list`."""
    arms: Annotated[tuple[Arm, ...], Many] = ()
    """The arms to compare, each with its own datasets. Given instead of `datasets`."""
    datasets: Annotated[Datasets, Many] = Datasets()
    """The training datasets; in a setting with arms, those of all arms."""
    models: Annotated[Sequence[str], Many] = ()
    """Base models, each `backend/model`. Empty if every arm has its own."""
    train: bool = True
    """False: the models are evaluated without fine-tuning."""
    bare: Annotated[Sequence[str], Many] = ()
    """Further models, `backend/model`, that are evaluated without fine-tuning."""
    training: Annotated[tuple[Training, ...], Many, Some] = (Training(),)
    """One training, or a grid of them: `Training.grid(epochs=[1, 3])`."""
    seeds: Annotated[Sequence[StrictInt], Many, Some] = (0,)
    """The trainings' seeds, each from 0 to 2**32 - 1."""
    replicates: int = Field(default=1, ge=1, le=1000)
    """Number of trainings per seed, for backends whose seed does not determine the
    weights."""
    evals: Annotated[Evals, Many] = Evals()
    account: Annotated[tuple[str, ...], Many, Some] = ("default",)
    """Names of the accounts in pyproject.toml that pay: one, or one for each of several
    providers. They are in no key."""
    controls: bool = True
    """Whether the base models are evaluated, too, beside the fine-tuned ones."""
    primary: Contrast | None = None
    """The contrast that the experiment is about, whose p value is not adjusted for the
    others. It is in no key. `doit declare` writes it down before the first result."""

    # users pass lists for tuple fields: pydantic converts them, and mypy cannot know
    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)

    @model_validator(mode="before")
    @classmethod
    def _datasets_of_arms(cls, fields: Any) -> Any:
        arms = fields.get("arms") if isinstance(fields, dict) else None
        arms = arms if isinstance(arms, (list, tuple)) else [arms]
        found: dict[str, list[Dataset]] = {}
        for arm in arms:
            for dataset in arm.datasets if isinstance(arm, Arm) else ():
                alike = found.setdefault(dataset.name, [])
                if dataset not in alike:
                    alike.append(dataset)
        if not found:
            return fields
        union = Datasets(d for alike in found.values() for d in alike)
        if tuple(fields.get("datasets") or union) != union:
            raise ValueError("datasets: the arms have theirs; put these into an arm")
        return {**fields, "datasets": union}

    @field_validator("seeds")
    @classmethod
    def _seeds_are_seeds(cls, seeds: Sequence[int]) -> Sequence[int]:
        for seed in seeds:
            if not 0 <= seed < 2**32:
                raise ValueError(f"a seed lies between 0 and 2**32 - 1, not {seed}")
        return seeds

    @field_validator("evals")
    @classmethod
    def _evals_know_datasets(cls, evals: Evals, info: ValidationInfo) -> Evals:
        return Evals(evals, info.data.get("datasets", ()))

    @model_validator(mode="after")
    def _names_are_unique(self) -> Setting:
        named = ("arms", "datasets", "evals")
        for field, names in (
            ("arms", [arm.name for arm in self.arms]),
            ("datasets", [dataset.name for dataset in self.datasets]),
            ("models", list(self.models)),
            ("bare", list(self.bare)),
            ("training", [str(training) for training in self.training]),
            ("seeds", [str(seed) for seed in self.seeds]),
            ("evals", [e.name for e in self.evals]),
        ):
            twice = {name for name, n in Counter(names).items() if n > 1}
            if twice:
                raise ValueError(
                    f"{field}: {', '.join(sorted(twice))} is given twice; "
                    "give one of them another name="
                    if field in named
                    else f"{field}: {', '.join(sorted(twice))} is given twice"
                )
        if BASE in {dataset.name for dataset in self.datasets}:
            raise ValueError("datasets: the name 'base' means the base model's own")
        return self

    @model_validator(mode="after")
    def _is_whole(self) -> Setting:
        for field in () if self.train else ("arms", "datasets"):
            if getattr(self, field):
                raise ValueError(
                    f"{field}: nothing is trained on them with train=False; leave "
                    "one of the two out"
                )
        if self.train and not self.datasets:
            raise ValueError(
                "datasets: at least one is needed; to evaluate models as they are, "
                "write train=False"
            )
        of_arms = bool(self.arms) and all(arm.models for arm in self.arms)
        if of_arms and self.models:
            raise ValueError("models: each arm has its own; leave these out")
        if not of_arms and not self.models:
            raise ValueError("models: at least one is needed")
        if not self.train and not self.evals:
            raise ValueError("evals: at least one is needed with train=False")
        return self

    @model_validator(mode="after")
    def _is_no_more_than_can_be_made(self) -> Setting:
        lines = sum(len(d) * len(m) * len(t) for _, d, m, t in self.parts())
        models = lines * len(self.seeds) * self.replicates
        blocks = sum(
            e.epochs // e.block if e.scorer and e.epochs else 0 for e in self.evals
        )
        asked = models * max(1, len(self.evals) + blocks)
        if asked > MOST_STAGES:
            raise ValueError(
                f"it stands for {asked:,} stages; one setting has {MOST_STAGES:,} at "
                "most: give it fewer seeds, replicates, trainings or blocks of epochs"
            )
        return self

    @model_validator(mode="after")
    def _evals_are_for_some_dataset(self) -> Setting:
        names = {dataset.name for dataset in self.datasets}
        tags = {tag for d in self.datasets for tag in d.tags}
        tags |= {arm.name for arm in self.arms}
        for e in self.evals:
            where = f"evals: {e.name}"
            if not self.train and (e.datasets or e.dataset_tags or e.checkpoint):
                raise ValueError(
                    f"{where}: datasets, dataset_tags and checkpoint are of models "
                    "that are trained; with train=False, leave them out"
                )
            for name in e.datasets or ():
                if name not in names:
                    raise ValueError(
                        f"{where}: datasets: no dataset of the setting is called "
                        f"{name!r}; {known(name, names)}"
                    )
            for tag in e.dataset_tags or ():
                if tag not in tags:
                    raise ValueError(
                        f"{where}: dataset_tags: no dataset of the setting has the "
                        f"tag {tag!r}; {known(tag, tags)}"
                    )
        return self

    @model_validator(mode="after")
    def _primary_is_of_its_groups(self) -> Setting:
        primary = self.primary
        if primary is None:
            return self
        if not self.train:
            raise ValueError(
                "primary: with train=False, there are no groups to compare"
            )
        groups = [one.name for one in self.arms or self.datasets]
        what = "arm" if self.arms else "dataset"
        based = [BASE] if self.controls or self.bare else []
        for name in (primary.arm, primary.against):
            if name not in (*groups, *based):
                none = "; with controls=False, base models are not evaluated"
                raise ValueError(
                    f"primary: no {what} of the setting is called {name!r}; "
                    + (known(name, groups) + none * (name == BASE))
                )
        evals = [one.name for one in self.evals]
        if primary.eval not in evals:
            raise ValueError(
                f"primary: no eval of the setting is called {primary.eval!r}; "
                + known(primary.eval, evals)
            )
        return self

    def parts(
        self,
    ) -> Iterator[tuple[str, Sequence[Dataset], Sequence[str], Sequence[Training]]]:
        """Each arm's name, datasets, models and trainings. A setting without arms has
        one part, with an empty name."""
        if not self.arms:
            yield "", self.datasets, self.models if self.train else (), self.training
        for arm in self.arms:
            models, training = arm.models or self.models, arm.training or self.training
            yield arm.name, arm.datasets, models, training

    def trainings(self) -> tuple[Training, ...]:
        """All trainings of the setting and its arms, without duplicates."""
        return tuple(dict.fromkeys(t for *_, of_arm in self.parts() for t in of_arm))

    def all_models(self) -> tuple[str, ...]:
        """All base models, trained or evaluated only, without duplicates."""
        trained = (m for _, _, of_arm, _ in self.parts() for m in of_arm)
        own = self.models if not self.train else ()
        return tuple(dict.fromkeys((*trained, *own, *self.bare)))

    def teachers(self) -> tuple[str, ...]:
        """The base models that its datasets' teachers name, as `backend/model`."""
        found = (lesson for dataset in self.datasets for lesson in lessons(dataset))
        return tuple(s.teacher.model for s in found if s.teacher.model)

    def base_models(self) -> tuple[ModelName, ...]:
        """`all_models()`, parsed. Raises InputError for a model that does not exist."""
        return tuple(ModelName.parse(name) for name in self.all_models())
