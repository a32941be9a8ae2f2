"""Sampled datasets: a teacher model answers prompts, and a student model is trained on
the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

from pydantic import ConfigDict, Field, StrictInt, model_validator

from motools_build.errors import DatasetError
from motools_build.spec import Spec
from motools_build.specs.model_name import ModelName

Count = Annotated[StrictInt, Field(ge=1, lt=2**31)]


class Teacher(Spec):
    """The model that writes a dataset. `Teacher("plain")` is the model that the setting
    trains on its dataset or arm `plain`, from the student's base model.

    `Teacher("plain", model="openai/gpt-4.1-2025-04-14", seed=1, setting="other")` gives
    all fields. `Teacher(model="openai/gpt-4.1-2025-04-14")` is a base model.
    """

    of: str = ""
    """The dataset or arm that the teacher was trained on; empty for a base model."""
    model: str = ""
    """The teacher's base model, `backend/model`; empty for the student's."""
    seed: StrictInt = Field(default=0, ge=0, lt=2**32)
    setting: str = ""
    """Name of the setting that trains the teacher; empty for the student's setting."""

    def __init__(self, of: str = "", **fields: Any) -> None:
        super().__init__(**{"of": of, **fields})

    @model_validator(mode="after")
    def _is_someone(self) -> Teacher:
        if self.model:
            ModelName.parse(self.model)
        if not self.of and (self.setting or self.seed):
            raise ValueError(
                "a model as it is has no setting and no seed; name the dataset that "
                'it learned from: Teacher("plain", seed=1)'
            )
        if not self.of and not self.model:
            raise ValueError(
                'nobody is named; write Teacher("NAME OF A DATASET OR AN ARM"), or '
                'Teacher(model="backend/model")'
            )
        return self

    @classmethod
    def named(cls, teacher: str | Teacher) -> Teacher:
        """The teacher for a text: `"plain"` is `Teacher("plain")`, and
        `"backend/model"` is `Teacher(model="backend/model")`."""
        if isinstance(teacher, Teacher):
            return teacher
        return cls(model=teacher) if "/" in teacher else cls(teacher)

    def __str__(self) -> str:
        return f"{self.of}@{self.setting}".strip("@") or self.model


class Sampled(Spec):
    """How a sampled dataset is made; `Dataset.sampled` describes the fields."""

    model_config = ConfigDict(str_strip_whitespace=False)

    teacher: Teacher
    n: Annotated[StrictInt, Field(ge=1, le=100_000)] = 1
    temperature: float | None = Field(default=1.0, ge=0)
    max_tokens: Count | None = None
    seed: StrictInt | None = Field(default=None, ge=0, lt=2**32)
    system: str | None = Field(default=None, min_length=1)

    def identity(self) -> dict[str, Any]:
        """The fields that enter the key. The teacher and the prompts enter it as
        inputs."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"teacher"})

    def overrides(self) -> dict[str, Any]:
        """The sampling options that are set, under Inspect's names."""
        given = {
            "epochs": self.n,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
        }
        return {name: value for name, value in given.items() if value is not None}


class Composed(Protocol):
    """The fields of a `Dataset` that the functions below read. This module cannot
    import `Dataset`, which imports it."""

    @property
    def name(self) -> str: ...
    @property
    def step(self) -> Any: ...
    @property
    def parts(self) -> Sequence[Composed]: ...


def sampling(dataset: Composed) -> Sampled | None:
    """The `Sampled` of a dataset that a model writes; None for any other dataset."""
    return dataset.step if isinstance(dataset.step, Sampled) else None


def lessons(dataset: Composed) -> tuple[Sampled, ...]:
    """The `Sampled` of a dataset and of all datasets that it is made from. Empty if its
    rows are known while planning."""
    lesson = sampling(dataset)
    if lesson:
        return (lesson,)
    return tuple(found for part in dataset.parts for found in lessons(part))


def refuse_sampled(dataset: Composed, what: str) -> None:
    """Raises DatasetError for a dataset whose rows are sampled by a run. `what` is the
    part of the message that says why that is not allowed."""
    if lessons(dataset):
        raise DatasetError(
            f"dataset {dataset.name}: its rows are sampled by a run, and {what}; "
            "change its prompts instead, or save the rows that a run made "
            "(artifacts/dataset/*-KEY/data.jsonl) as a file of datasets/"
        )
