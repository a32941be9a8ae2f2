"""Evals: Inspect tasks, and what of them enters a key."""

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
"""As Inspect's registry names the tasks of an installed package."""

DUMMY_TASK = re.compile(r"^dummy/(?P<task>[A-Za-z0-9_.-]+)$")

NEEDS_EPOCHS = re.compile(r"^(?:pass_at|pass_k|at_least)_(\d+)$")
"""Reducers that are of so many epochs."""


def epochs_needed(reducers: Iterable[str]) -> int:
    """The fewest epochs that all of these reducers can be of."""
    found = (NEEDS_EPOCHS.match(reducer) for reducer in reducers)
    return max((int(match[1]) for match in found if match), default=1)


@dataclass(frozen=True)
class Block:
    """Epochs of a task that are one artifact."""

    first: int
    """1 for the first epoch."""
    epochs: int | None
    """None: as many as the task says."""

    @property
    def name(self) -> str:
        """`1-100`; `all` where the task says how many."""
        return f"{self.first}-{self.first + self.epochs - 1}" if self.epochs else "all"


class Eval(Spec):
    """An Inspect task: `Eval("zoo/evals/arithmetic.py@arithmetic")`, or an installed
    package's, `Eval("inspect_evals/gsm8k")`.

    `Eval("dummy/score")` is the dummy eval: instant, free and deterministic. A field
    left at None means the task's own value.
    """

    OVERRIDES: ClassVar[tuple[str, ...]] = (
        *("args", "limit", "epochs", "reducer"),
        *("temperature", "max_tokens", "seed"),
    )
    """Fields that are Inspect's own, passed on as they are."""
    SCORING: ClassVar[tuple[str, ...]] = ("scorer", "scorer_args", "block")
    """Fields of a scorer apart; the epochs of a block enter its own key."""

    task: str
    name: str = ""
    """What stages are called by; the task's own name if not given."""
    tags: tuple[str, ...] = ()
    args: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the task's function."""
    data: tuple[str, ...] = ()
    """Files the task reads that its source does not name literally: paths, folders
    (all that is in them) and patterns (`zoo/evals/data/**/*.jsonl`)."""
    limit: int | None = Field(default=None, ge=1, lt=2**53)
    """Samples, from the first."""
    epochs: int | None = Field(default=None, ge=1, le=100_000)
    """Answers to each sample."""
    reducer: tuple[str, ...] = ()
    """How the epochs of a sample become one score: Inspect's reducers, by name
    (`mean`, `max`, `pass_at_5`)."""
    temperature: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1, lt=2**53)
    seed: int | None = Field(default=None, ge=0, lt=2**53)
    datasets: Annotated[tuple[str, ...] | None, Many, Some] = None
    """Names of the datasets whose models it is asked of; all, if neither this nor
    `dataset_tags` is given. Models as they are (controls, bare ones) always are."""
    dataset_tags: Annotated[tuple[str, ...] | None, Many, Some] = None
    """Tags of the datasets whose models it is asked of; an arm's name is one."""
    checkpoint: int | None = Field(default=None, gt=-(2**31), lt=2**31)
    """Which of the model's checkpoints, where its backend keeps some: a step, or -1
    for the last, -2 for the one before; None is the model itself."""

    roles: dict[str, str] = Field(default_factory=dict)
    """Judges: Inspect's model roles, `{"grader": "openai/gpt-4.1-2025-04-14"}`. A
    provider's are asked with the setting's account. With a `scorer` of its own they
    are the scorer's alone."""
    scorer: str | None = None
    """A scorer apart from the task, `path/to/file.py@scorer`; the task's own is then
    left out."""
    scorer_args: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of that scorer's function."""
    block: int = Field(default=100, ge=1, lt=2**53)
    """Epochs that are one artifact, where the scorer is apart: with another number of
    epochs, only the blocks that are not there are made."""

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
        """The installed package that the task is of, if it is of one."""
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
        """Whether it is asked of the models of a dataset with these tags."""
        if self.datasets is None and self.dataset_tags is None:
            return True
        tagged = not {*tags}.isdisjoint(self.dataset_tags or ())
        return tagged or dataset in (self.datasets or ())

    def identity(self) -> dict[str, Any]:
        """What enters the key: not the path, nor names and tags; files enter by
        their bytes, a package by its version."""
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
        """What enters the key of the scoring, where the scorer is apart."""
        assert self.scorer is not None
        fields = self.model_dump(
            mode="json", exclude_defaults=True, include={"scorer_args", "reducer"}
        )
        return {**fields, "scorer": self.scorer.split("@")[1]}

    def blocks(self) -> Iterator[Block]:
        """The blocks of epochs, where the scorer is apart: all of one size, but for the
        last; a single one where the task says how many."""
        if self.epochs is None:
            yield Block(1, None)
            return
        for first in range(1, self.epochs + 1, self.block):
            yield Block(first, min(self.block, self.epochs - first + 1))
