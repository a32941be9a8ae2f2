"""Trainings: how a base model is fine-tuned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self, cast

from pydantic import Field, ValidationError, model_validator
from pydantic_core import core_schema

from motools_build.errors import InputError
from motools_build.specs.backends import backend_names, facts_of, is_backend
from motools_build.specs.dataset import Dataset
from motools_build.specs.grid import Gridded
from motools_build.specs.model_name import ModelName
from motools_build.text.similar import known


class Options(Gridded):
    """The base class of a backend's own options. Every field has a default, and values
    other than the default enter the keys of models."""

    def check(self, method: str) -> None:
        """Raises InputError for an option that the training method does not have."""

    def held_out(self) -> Dataset | None:
        """A dataset for validation during a job, or None. It is uploaded like the
        training dataset, and its bytes enter the model's key."""
        return None


def held_out_rows(validation: str | Dataset) -> Dataset | None:
    """The dataset of a field `validation`, which is a dataset, the path of one, or
    empty."""
    if not validation or isinstance(validation, Dataset):
        return validation or None
    return Dataset(validation)


class ByBackend(dict[str, Options]):
    """Backend name -> its options; treated as frozen, like a spec. Options with only
    default values are left out, so that equivalent trainings are equal."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    @classmethod
    def checked(cls, given: Any) -> ByBackend:
        """The options that a user wrote as `{"toy": Toy(rank=2)}` or as
        `{"toy": {"rank": 2}}`. Raises ValueError for anything else."""
        if not isinstance(given, Mapping):
            raise ValueError(f"write {{BACKEND: its options}}, not {given!r}")
        found = {name: _options(name, given[name]) for name in sorted(given)}
        return cls({n: own for n, own in found.items() if own != type(own)()})

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: Any
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.checked,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda own: {n: o.model_dump(mode="json") for n, o in own.items()}
            ),
        )


class Training(Gridded):
    """How a base model is fine-tuned: fields that all backends share, and each
    backend's own options under its name. `Training(epochs=2, embedded=LoRA(rank=4))` is
    short for `Training(epochs=2, options={"embedded": LoRA(rank=4)})`.

    A model's key contains only the options of the backend that trains it. A shared
    field that the backend does not support is an error.
    """

    method: Literal["sft", "dpo"] = "sft"
    epochs: int = Field(default=3, ge=1, le=100_000)
    batch_size: int = Field(default=8, ge=1, lt=2**31)
    """Rows per optimizer step."""
    options: ByBackend = ByBackend()
    """Backend name -> its own options, as its spec or as a dict of the fields."""

    # backend names are accepted as fields: pydantic checks them, and mypy cannot
    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)

    @model_validator(mode="before")
    @classmethod
    def _options_by_name(cls, fields: Any) -> Any:
        """Move `embedded=LoRA(...)` into `options`."""
        if not isinstance(fields, dict):
            return fields
        own = [name for name in fields if name not in cls.model_fields]
        options = fields.get("options", {})
        if not own or not isinstance(options, Mapping):
            return fields
        options = dict(options)
        for name in own:
            cls._refuse_grid(name, fields[name])
            if not is_backend(name):
                there = (*cls.model_fields, *_having_options())
                raise ValueError(
                    f"{name}: there is no such field; {known(name, there)}"
                )
            if name in options:
                raise ValueError(f"{name}: it is given twice, once in options")
            options[name] = fields[name]
        others = {n: v for n, v in fields.items() if n in cls.model_fields}
        return {**others, "options": options}

    @classmethod
    def grid(cls, **fields: Any) -> tuple[Self, ...]:
        """One training for each combination of values. A backend's options may be a
        grid of their own, `embedded=LoRA.grid(rank=[4, 8])`, or a dict of lists,
        `embedded={"rank": [4, 8]}`. Raises SettingError like `Gridded.grid`."""
        axes: dict[str, Any] = {}
        for name, value in fields.items():
            named = isinstance(value, Mapping) and name == "options"
            for field, values in (value if named else {name: value}).items():
                if isinstance(values, Mapping):
                    values = _class_of(field).grid(**values)
                axes[field] = values
        return super().grid(**axes)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and is_backend(name):
            return self.own(name)
        raise AttributeError(f"a Training has no {name!r}")

    def own(self, backend: str) -> Options:
        """A backend's options: those given, else its defaults. Raises BackendError for
        an unknown backend, and InputError for one without options."""
        return self.options.get(backend) or _class_of(backend)()

    def identity_for(self, model: ModelName) -> dict[str, Any]:
        """The fields that enter the key of a model fine-tuned from this base model.

        Raises InputError if the model's backend does not support a field.
        """
        facts = model.facts
        if not facts.methods:
            raise InputError(
                f"{model}: models of {model.backend} are asked, and cannot be trained; "
                "name it in bare=[...], as a judge, or in a setting with train=False"
            )
        if self.method not in facts.methods:
            raise InputError(
                f"training.method: the {model.backend} backend cannot train by "
                f"{self.method!r}; it can by {', '.join(facts.methods)}"
            )
        shared: dict[str, Any] = {"epochs": self.epochs, "batch_size": self.batch_size}
        if self.method != "sft":
            shared["method"] = self.method
        for options in self.options.values():
            options.check(self.method)
        if facts.options is None:
            return shared
        return {**shared, facts.name: self.own(facts.name).identity()}

    def held_out(self, model: ModelName) -> Dataset | None:
        """The dataset for validation during a job on this base model, or None."""
        return self.own(model.backend).held_out() if model.facts.options else None

    def written_out(self, others: Iterable[Gridded]) -> dict[str, Any]:
        # only backends with options in some training: others cannot differ
        backends = {n for o in others if isinstance(o, Training) for n in o.options}
        own = {name: self.own(name).model_dump(mode="json") for name in backends}
        fields = self.model_dump(mode="json", exclude={"options"})
        return {**fields, **{name: own[name] for name in sorted(own)}}


def _class_of(backend: str) -> type[Options]:
    """The spec class of a backend's options. Raises BackendError for an unknown
    backend, and InputError for one without options."""
    options = facts_of(backend).options
    if options is None:
        others = ", ".join(_having_options())
        raise InputError(
            f"training: the {backend} backend has no options of its own; these have "
            f"some: {others}"
        )
    return cast(type[Options], options)


def _having_options() -> list[str]:
    """The names of the installed backends that have options."""
    return [name for name in backend_names() if facts_of(name).options]


def _options(backend: str, given: Any) -> Options:
    """A backend's options, from its spec or a dict of fields. Raises ValueError."""
    try:
        kind = _class_of(backend)
    except InputError as error:
        raise ValueError(str(error)) from error
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(f"{backend}: write {kind.__name__}(...), not {given!r}")
    try:
        return kind(**given)
    except ValidationError as error:
        raise ValueError(_said(backend, error, kind)) from error


def _said(backend: str, error: ValidationError, kind: type[Options]) -> str:
    """An error message for a dict of options: the problem of each wrong field."""
    reasons = []
    for item in error.errors(include_url=False):
        field = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            reason = f"there is no such option; {known(field, kind.model_fields)}"
        else:
            reason = item["msg"].removeprefix("Value error, ")
        place = f"{backend}.{field}" if field else backend
        reasons.append(f"{place}: {reason}")
    return "; ".join(reasons)
