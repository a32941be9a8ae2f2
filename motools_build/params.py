"""Params: what the work of a stage needs to know and its key leaves out.

Paths, names and defaults: nothing here enters a key. There is one frozen class for each
kind of stage, so that a type checker finds a field that a stage does not have. All of
them are plain data, which crosses to a worker process as JSON (`StageJob`).

Thousands of stages are planned at a time: what they have in common (a `Recipe`, a
`EvalTask`, a `Subject`) is made once and shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import (
    Any,
    ClassVar,
    Protocol,
    Self,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from motools_build.data.source import Source, Unwritten

# ---- what several stages share


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is fine-tuned, defaults included; the seed is the stage's own."""

    method: str
    """`sft` or `dpo`."""
    epochs: int
    batch_size: int
    """Rows a step."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The backend's own options, by name."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The model that is asked, by the words of the setting."""

    model: str
    """The base model, `backend/model`, whether it is fine-tuned or not."""
    served_as: str
    """Its name in Inspect's log, after `motools/`: `setting/dataset/model/seed0`."""
    setting: str
    dataset_name: str
    """Of what it was trained on; `base` for a model as it is."""
    seed: int | None
    """Of its training; None for a model as it is."""
    arms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer that is no part of its task: `Eval(scorer="file.py@function")`."""

    file: str
    function: str
    args: Mapping[str, Any]
    reducer: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvalTask:
    """An Inspect task, or a scorer of its recorded answers, and how it is run."""

    function: str
    """Its name in its file or package; of a dummy eval, the name of its score."""
    eval_name: str
    """What the setting calls the eval."""
    file: str | None = None
    """Path from the project's root, where the task is in a file."""
    package: str | None = None
    """The installed package, where the task is in one."""
    data: tuple[str, ...] = ()
    """The author's declaration of what the task reads besides: paths and patterns."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Eval` that replace the task's own, by Inspect's names."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Judges: role -> `backend/model`."""
    checkpoint: int | None = None
    """Which checkpoint of the model is asked (`Eval.checkpoint`)."""
    first_epoch: int = 1
    """Of a block of answers: which epoch of the eval its first one is."""
    scorer: Scorer | None = None
    """Where answers that are artifacts of their own are scored: by whom."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Prompts that a teacher model answers, and how; the answers become a dataset."""

    dataset_name: str
    prompts_path: str
    prompts_digest: str
    prompts_name: str
    """The name of the prompts' own dataset."""
    system: str | None
    """A system prompt put before each of the prompts."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """As of a task: `epochs` answers to each prompt, and how they are sampled."""

    # what a task may choose and a lesson does not
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
        """The params of a stage or job that is known to have these. Raises TypeError
        for another kind of stage, and for one that only its record tells of."""
        if not isinstance(what.params, cls):
            found = type(what.params).__name__
            raise TypeError(f"{what.name} has {found}, not {cls.__name__}")
        return what.params


@dataclass(frozen=True, slots=True)
class BaseParams(Params):
    """Of `base`: a base model that is fetched to this machine."""

    model: str
    """`backend/model`."""
    digest: str
    """The pinned one, of its weights."""


@dataclass(frozen=True, slots=True)
class StepParams(Params):
    """Of `dataset`, made of others by one step."""

    dataset_name: str
    step: Mapping[str, Any]
    """Its word under `step`, and its fields; see `data.transforms`."""
    sources: tuple[Source | Unwritten, ...]


@dataclass(frozen=True, slots=True)
class FetchParams(Params):
    """Of `dataset`, fetched from a URL."""

    dataset_name: str
    url: str
    digest: str
    """The xxh3_128 that it is pinned by, or empty."""
    sha256: str
    """The SHA-256 that it is pinned by, or empty."""
    largest: int
    """Bytes that are taken at most."""


@dataclass(frozen=True, slots=True)
class RowsParams(Params):
    """What `upload` and `model` have in common: the rows that are sent or learned."""

    rows_path: str
    """Empty until a run, where a teacher is yet to write them."""
    rows_digest: str


@dataclass(frozen=True, slots=True)
class UploadParams(RowsParams):
    """Of `upload`: a file of rows at a provider."""


@dataclass(frozen=True, slots=True)
class ModelParams(RowsParams):
    """Of `model`: a fine-tuned model."""

    dataset_name: str
    model: str
    """The base model, `backend/model`."""
    recipe: Recipe
    seed: int
    validation: str = ""
    """The key of the upload that holds the held-out rows, if there are some."""


@dataclass(frozen=True, slots=True)
class AskParams(Params):
    """What is common to all stages that ask a model by way of Inspect."""

    task: EvalTask | Lesson
    subject: Subject


@dataclass(frozen=True, slots=True)
class EvalParams(AskParams):
    """Of `eval`, and of `samples`: a model's scores in a task, or its answers alone."""

    task: EvalTask


@dataclass(frozen=True, slots=True)
class LessonParams(AskParams):
    """Of `dataset`, written by a teacher model."""

    task: Lesson


# ---- JSON, for a worker process

CLASSES: Mapping[str, type[Params]] = {
    cls.__name__: cls
    for cls in (
        *(BaseParams, StepParams, FetchParams, LessonParams),
        *(UploadParams, ModelParams, EvalParams),
    )
}
"""By name, as JSON has it."""


def to_json(params: Params) -> dict[str, Any]:
    """The params as a JSON object, which names their class."""
    assert is_dataclass(params)
    return {"class": type(params).__name__, **asdict(params)}


def from_json(told: Mapping[str, Any]) -> Params:
    """The inverse of `to_json`. Raises KeyError or TypeError for another object."""
    left = dict(told)
    params: Params = _decoded(CLASSES[left.pop("class")], left)
    return params


def _decoded(hint: Any, value: Any) -> Any:
    """A JSON value as a field of that type has it: objects as dataclasses, lists as
    tuples; what is free-form stays what it is."""
    if isinstance(value, list) and get_origin(hint) is tuple:
        return tuple(_decoded(get_args(hint)[0], item) for item in value)
    if isinstance(value, dict):
        for cls in (hint, *get_args(hint)):
            if is_dataclass(cls) and value.keys() <= {f.name for f in fields(cls)}:
                hints, make = get_type_hints(cls), cast(Any, cls)
                return make(**{n: _decoded(hints[n], v) for n, v in value.items()})
    return value
