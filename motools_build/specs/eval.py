"""Evals: Inspect tasks, and which of their fields enter a key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, ClassVar

from pydantic import Field, JsonValue, field_validator, model_validator

from motools_build.errors import InputError
from motools_build.keys import canonical
from motools_build.spec import Many, Some, Spec, checked_name
from motools_build.specs.backends import is_backend
from motools_build.specs.model_name import ModelName

FILE_TASK = re.compile(r"^(?P<file>[^@]+\.py)@(?P<task>[A-Za-z_]\w*)$")
PACKAGE_TASK = re.compile(r"^(?P<package>[A-Za-z_][\w-]*)/(?P<task>[A-Za-z_]\w*)$")
"""A task of an installed package, named as in Inspect's registry."""

DUMMY_TASK = re.compile(r"^dummy/(?P<task>[A-Za-z0-9_.-]+)$")

NEEDS_EPOCHS = re.compile(r"^(?:pass_at|pass_k|at_least)_(\d+)$")
"""Reducers with a number in their name: the fewest epochs that they can reduce."""


def epochs_needed(reducers: Iterable[str]) -> int:
    """The smallest number of epochs that all of these reducers can reduce."""
    found = (NEEDS_EPOCHS.match(reducer) for reducer in reducers)
    return max((int(match[1]) for match in found if match), default=1)


@dataclass(frozen=True)
class Block:
    """A range of epochs whose answers are one artifact."""

    first: int
    """Number of the block's first epoch, counted from 1."""
    epochs: int | None
    """Number of epochs; None for the task's own number."""

    @property
    def name(self) -> str:
        """`1-100`; `all` for the task's own number of epochs."""
        return f"{self.first}-{self.first + self.epochs - 1}" if self.epochs else "all"


class Eval(Spec):
    """An Inspect task in a file, `Eval("zoo/evals/arithmetic.py@arithmetic")`, or of an
    installed package, `Eval("inspect_evals/gsm8k")`.

    `Eval("dummy/score")` is the dummy eval: instant, free and deterministic, and so is
    `Eval("dummy/questions")`, which has single answers. None in a field means the
    task's own value.
    """

    OVERRIDES: ClassVar[tuple[str, ...]] = (
        *("args", "limit", "epochs", "reducer"),
        *("temperature", "max_tokens", "seed"),
    )
    """Fields that are passed on to Inspect unchanged."""
    SCORING: ClassVar[tuple[str, ...]] = ("scorer", "scorer_args", "block")
    """Fields of a separate scorer, which the keys of answers leave out. The epochs of a
    block are in the key of that block."""

    task: str
    """`path/to/file.py@task`, `package/task` or `dummy/NAME`."""
    name: str = ""
    """The eval's name in stages; by default the task's name."""
    tags: tuple[str, ...] = ()
    args: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the task's function."""
    data: tuple[str, ...] = ()
    """Files the task reads that its source does not name literally: paths, folders
    (all files in them) and patterns (`zoo/evals/data/**/*.jsonl`)."""
    limit: int | None = Field(default=None, ge=1, lt=2**53)
    """Number of samples, taken from the start."""
    epochs: int | None = Field(default=None, ge=1, le=100_000)
    """Number of answers to each sample."""
    reducer: tuple[str, ...] = ()
    """Inspect's reducers, which combine the scores of a sample's epochs, by name
    (`mean`, `max`, `pass_at_5`)."""
    temperature: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1, lt=2**53)
    seed: int | None = Field(default=None, ge=0, lt=2**53)
    datasets: Annotated[tuple[str, ...] | None, Many, Some] = None
    """Names of the datasets whose models are evaluated; all datasets if this and
    `dataset_tags` are None. Base models (controls and `bare`) are always evaluated."""
    dataset_tags: Annotated[tuple[str, ...] | None, Many, Some] = None
    """Tags of the datasets whose models are evaluated; an arm's name is a tag of its
    datasets."""
    checkpoint: int | None = Field(default=None, gt=-(2**31), lt=2**31)
    """The checkpoint to evaluate, if the backend keeps checkpoints: a training step, or
    -1 for the last one, -2 for the one before; None for the final model."""

    roles: dict[str, str] = Field(default_factory=dict)
    """Judges, as Inspect's model roles: `{"grader": "openai/gpt-4.1-2025-04-14"}`. The
    setting's account pays for a provider's models. If `scorer` is given, only the
    scorer can use them."""
    scorer: str | None = None
    """A separate scorer, `path/to/file.py@scorer`, which replaces the task's own."""
    scorer_args: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the separate scorer's function."""
    block: int = Field(default=100, ge=1, lt=2**53)
    """Number of epochs per artifact of answers, with a separate scorer. When `epochs`
    changes, only blocks that do not exist yet are made."""

    def __init__(self, task: str, **fields: Any) -> None:
        super().__init__(**{"task": task, **fields})

    @field_validator("task")
    @classmethod
    def _is_a_task(cls, task: str) -> str:
        if not any(form.match(task) for form in (FILE_TASK, DUMMY_TASK, PACKAGE_TASK)):
            raise ValueError(
                f"{task!r} is not a task: write path/to/file.py@task, package/task (of "
                "an installed package), or dummy/NAME"
            )
        return task

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return checked_name(name)

    @field_validator("scorer")
    @classmethod
    def _is_a_scorer(cls, scorer: str | None) -> str | None:
        if scorer is not None and not FILE_TASK.match(scorer):
            raise ValueError(
                f"{scorer!r} is not a scorer: write path/to/file.py@scorer"
            )
        return scorer

    @field_validator("reducer", mode="before")
    @classmethod
    def _are_reducers(cls, reducer: Any) -> Any:
        return (reducer,) if isinstance(reducer, str) else reducer

    @field_validator("args", "scorer_args")
    @classmethod
    def _are_json(cls, args: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            canonical(args)
        except ValueError as error:
            raise ValueError(f"{args} cannot be written as JSON: {error}") from error
        return args

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_task(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(fields, dict):
            return fields
        task = fields.get("task")
        if not fields.get("name") and isinstance(task, str):
            return {**fields, "name": re.split("[@/]", task)[-1]}
        return fields

    @model_validator(mode="after")
    def _judged_by_what_can_be_asked(self) -> Eval:
        for role, name in self.roles.items():
            if not is_backend(name.partition("/")[0]):
                raise ValueError(
                    f"roles of eval {self.name!r}: the judge {role!r} is {name!r}, "
                    "which nothing here can ask; judges are openai/MODEL, asked at "
                    "the setting's account (any server with that API), or base models "
                    "of this machine, as embedded/smollm2-135m-instruct"
                )
            try:
                ModelName.parse(name)
            except InputError as error:
                raise ValueError(
                    f"roles of eval {self.name!r}: the judge {role!r}: {error}"
                ) from error
        return self

    @model_validator(mode="after")
    def _scored_by_its_scorer(self) -> Eval:
        if self.scorer and self.backend == "dummy":
            raise ValueError(f"scorer: {self.task} is scored by itself; leave it out")
        if self.scorer_args and not self.scorer:
            raise ValueError("scorer_args: there is no scorer; name it, or use args")
        if self.reducer and not (self.epochs or self.scorer):
            raise ValueError("reducer: say how many epochs it reduces, epochs=N")
        needed = epochs_needed(self.reducer)
        if self.epochs is not None and self.epochs < needed:
            raise ValueError(
                f"reducer: {', '.join(self.reducer)} needs {needed} epochs, and there "
                f"are {self.epochs}; epochs={needed}, or another reducer"
            )
        return self

    @property
    def file(self) -> str | None:
        """The task file's path; None for a package's task and a dummy eval."""
        match = FILE_TASK.match(self.task)
        return str(PurePath(match["file"])) if match else None

    @property
    def package(self) -> str | None:
        """The installed package that defines the task; None for any other task."""
        if DUMMY_TASK.match(self.task):
            return None
        match = PACKAGE_TASK.match(self.task)
        return match["package"] if match else None

    @property
    def function(self) -> str:
        """The task's name in its file or package, or the dummy eval's name."""
        return re.split("[@/]", self.task)[-1]

    @property
    def backend(self) -> str:
        return "inspect" if self.file or self.package else "dummy"

    def is_for(self, dataset: str, tags: Iterable[str]) -> bool:
        """Whether the models of a dataset with these tags are evaluated."""
        if self.datasets is None and self.dataset_tags is None:
            return True
        tagged = not {*tags}.isdisjoint(self.dataset_tags or ())
        return tagged or dataset in (self.datasets or ())

    def identity(self) -> dict[str, Any]:
        """The fields that enter the key. Paths, names and tags do not; the digests of
        files and a package's version are inputs of the stage instead."""
        fields = self.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={
                *("task", "name", "tags", "data", "roles"),
                *("datasets", "dataset_tags"),
                *self.SCORING,
            },
        )
        return {**fields, "task": self.function}

    def scoring_identity(self) -> dict[str, Any]:
        """The fields that enter the key of the scores, for a separate scorer."""
        assert self.scorer is not None
        fields = self.model_dump(
            mode="json", exclude_defaults=True, include={"scorer_args", "reducer"}
        )
        return {**fields, "scorer": self.scorer.split("@")[1]}

    def blocks(self) -> Iterator[Block]:
        """The blocks of epochs, for a separate scorer. All have `block` epochs except
        the last one. There is a single block if `epochs` is the task's own."""
        if self.epochs is None:
            yield Block(1, None)
            return
        for first in range(1, self.epochs + 1, self.block):
            yield Block(first, min(self.block, self.epochs - first + 1))
