"""Params: the data that executing a stage requires and that its key leaves out.

They are paths, names and defaults; nothing here enters a key. There is one frozen class
for each kind of stage, so that a type checker finds a field that a stage does not have.
All of them are plain data, which is sent to a worker process as JSON (`StageJob`).

A plan has thousands of stages. What they have in common (a `Recipe`, an `EvalTask`, a
`Subject`) is constructed once and shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, ClassVar, Protocol, Self

from pydantic import TypeAdapter

from motools_build.data.source import Source, Unwritten

# ---- parts that several stages share


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is fine-tuned, defaults included. The seed is in `ModelParams`."""

    method: str
    """`sft` or `dpo`."""
    epochs: int
    batch_size: int
    """Rows per optimizer step."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Option name -> value, for the options that only this backend has."""


@dataclass(frozen=True, slots=True)
class Trainer:
    """A command of the project's own that trains models."""

    name: str
    run: str
    """The program and its arguments, with placeholders in braces."""
    base: str
    """The model on this machine's disk that the command begins with, `local/...`."""
    files: tuple[str, ...] = ()
    """Paths and patterns of files that it uses, besides the scripts in `run`."""
    gpus: int = 1
    """The number of GPUs that one training uses, where there are any."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The model under test or the teacher, as the setting describes it."""

    model: str
    """The base model, `backend/model`, even if the model is fine-tuned."""
    served_as: str
    """The model's name in Inspect's log, after `motools/`:
    `setting/dataset/model/seed0`."""
    setting: str
    dataset_name: str
    """The name of the training dataset; `base` for a base model."""
    seed: int | None
    """The training's seed; None for a base model."""
    arms: tuple[str, ...] = ()
    """Names of the setting's arms that contain the model; empty if there are none."""
    base: str = ""
    """The model on disk whose weights `model` begins with, if that is another
    backend's; else empty."""

    @property
    def asked(self) -> str:
        """The base model, `backend/model`, whose backend asks the model."""
        return self.base or self.model


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer that is separate from its task: `Eval(scorer="file.py@function")`."""

    file: str
    function: str
    args: Mapping[str, Any]
    reducer: tuple[str, ...]
    """Names of Inspect's reducers; empty for Inspect's default."""


@dataclass(frozen=True, slots=True)
class EvalTask:
    """An Inspect task, or the scoring of its recorded answers, and how it is run."""

    function: str
    """The task's name in its file or package; for a dummy eval, its score's name."""
    eval_name: str
    """The eval's name in the setting."""
    file: str | None = None
    """Path of the task's file from the project's root; None if it has none."""
    package: str | None = None
    """The installed package that defines the task; None for a task in a file."""
    data: tuple[str, ...] = ()
    """Paths and patterns of further files that the task reads (`Eval.data`)."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Eval` that replace the task's own, under Inspect's names."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Role -> judge, as `backend/model`."""
    checkpoint: int | None = None
    """The checkpoint under test (`Eval.checkpoint`); None for the final model."""
    first_epoch: int = 1
    """The number of the first epoch in a block of answers, counted from 1."""
    scorer: Scorer | None = None
    """The scorer that scores recorded answers; None if the task scores its own."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Prompts for a teacher model and how it is sampled; the answers become a
    dataset."""

    dataset_name: str
    """The name of the dataset that the answers become."""
    prompts_path: str
    prompts_digest: str
    prompts_name: str
    """The name of the dataset of prompts."""
    system: str | None
    """A system prompt put before each prompt; None for none."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Inspect's options: `epochs` is the number of answers per prompt; the others
    control sampling."""

    # attributes of `EvalTask` that are fixed here, so that code can read either class
    function: ClassVar[str] = "sampled"
    eval_name: ClassVar[None] = None
    file: ClassVar[None] = None
    package: ClassVar[None] = None
    roles: ClassVar[Mapping[str, str]] = {}
    checkpoint: ClassVar[None] = None
    first_epoch: ClassVar[int] = 1
    scorer: ClassVar[None] = None
    data: ClassVar[tuple[str, ...]] = ()


# ---- one class for each kind of stage


class HasParams(Protocol):
    """A stage, or the job that makes it."""

    @property
    def name(self) -> str: ...

    @property
    def params(self) -> Params | None: ...


class Params:
    """The params of a stage."""

    __slots__ = ()

    @classmethod
    def of(cls, what: HasParams) -> Self:
        """The params of a stage or job, checked to be of this class. Raises TypeError
        if they are of another class, or None."""
        if not isinstance(what.params, cls):
            found = type(what.params).__name__
            raise TypeError(f"{what.name} has {found}, not {cls.__name__}")
        return what.params


@dataclass(frozen=True, slots=True)
class BaseParams(Params):
    """Params of `base`: base weights that are fetched to this machine."""

    model: str
    """The base model, `backend/model`."""
    digest: str
    """The pinned digest of the weights."""


@dataclass(frozen=True, slots=True)
class StepParams(Params):
    """Params of `dataset`, for a dataset made from others by one transform."""

    dataset_name: str
    step: Mapping[str, Any]
    """The transform's name under `step`, and its fields; see `data.transforms`."""
    sources: tuple[Source | Unwritten, ...]
    """The input datasets, in the transform's order."""


@dataclass(frozen=True, slots=True)
class FetchParams(Params):
    """Params of `dataset`, for a file that is fetched from a URL."""

    dataset_name: str
    url: str
    digest: str
    """The pinned xxh3_128 of the file, or empty."""
    sha256: str
    """The pinned SHA-256 of the file, or empty."""
    largest: int
    """The largest accepted size, in bytes."""


@dataclass(frozen=True, slots=True)
class RowsParams(Params):
    """The rows that an `upload` sends or that a `model` is trained on."""

    rows_path: str
    """Path of the JSONL file; empty until a run if a teacher writes the rows."""
    rows_digest: str
    """Digest of the file; empty like `rows_path`."""


@dataclass(frozen=True, slots=True)
class UploadParams(RowsParams):
    """Params of `upload`: a file of rows at a provider."""


@dataclass(frozen=True, slots=True)
class ModelParams(RowsParams):
    """Params of `model`: a fine-tuned model."""

    dataset_name: str
    model: str
    """The base model, `backend/model`."""
    recipe: Recipe
    seed: int
    validation: str = ""
    """The key of the upload of the held-out rows; empty if there is none."""
    held_out_path: str = ""
    """Path of the held-out rows; empty without held-out rows."""
    held_out_digest: str = ""
    trainer: Trainer | None = None
    """The command that trains the model; None for a backend that trains itself."""


@dataclass(frozen=True, slots=True)
class AskParams(Params):
    """Params of all stages that query a model through Inspect."""

    task: EvalTask | Lesson
    subject: Subject


@dataclass(frozen=True, slots=True)
class EvalParams(AskParams):
    """Params of `eval` (a model's scores in a task) and `samples` (answers alone)."""

    task: EvalTask


@dataclass(frozen=True, slots=True)
class LessonParams(AskParams):
    """Params of `dataset`, for a dataset that a teacher model writes."""

    task: Lesson


# ---- JSON, for a worker process

CLASSES: Mapping[str, type[Params]] = {
    cls.__name__: cls
    for cls in (
        *(BaseParams, StepParams, FetchParams, LessonParams),
        *(UploadParams, ModelParams, EvalParams),
    )
}
"""Class name, as in the JSON -> class."""


def to_json(params: Params) -> dict[str, Any]:
    """The params as a JSON object, with the class name under `class`."""
    assert is_dataclass(params)
    return {"class": type(params).__name__, **asdict(params)}


def from_json(told: Mapping[str, Any]) -> Params:
    """The inverse of `to_json`. Raises KeyError for an unknown class, and
    pydantic.ValidationError for a field that is missing or of another type."""
    left = dict(told)
    params: Params = TypeAdapter(CLASSES[left.pop("class")]).validate_python(left)
    return params
