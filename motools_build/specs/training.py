"""How a base model is fine-tuned."""

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
    """The base of a backend's own options. Every field has a default; what differs from
    it enters the keys of models."""

    def check(self, method: str) -> None:
        """Raises InputError for an option that the method of training does not have."""

    def held_out(self) -> Dataset | None:
        """Rows that a job is given besides those that are trained on: they are uploaded
        likewise, and their bytes enter the key."""
        return None


class ByBackend(dict[str, Options]):
    """Options by the name of their backend; frozen, as a spec is. Those that are all at
    their default are left out, so that two trainings that mean the same are equal."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    @classmethod
    def checked(cls, given: Any) -> ByBackend:
        """From what a user wrote: `{"toy": Toy(rank=2)}`, or `{"toy": {"rank": 2}}`.
        Raises ValueError."""
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
    """What all backends share, and the options of each backend under its name:
    `Training(epochs=2, embedded=LoRA(rank=4))`, which is short for
    `Training(epochs=2, options={"embedded": LoRA(rank=4)})`.

    Only the options of the backend that trains a model enter its key; a shared field
    that the backend cannot honour is refused.
    """

    method: Literal["sft", "dpo"] = "sft"
    epochs: int = Field(default=3, ge=1, le=100_000)
    batch_size: int = Field(default=8, ge=1, lt=2**31)
    """Rows a step."""
    options: ByBackend = ByBackend()
    """Backend -> its own options, as its spec or as a table of its fields."""

    # a backend's name is a field, too: pydantic checks it, not mypy
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
        """One for each combination, as of every spec. A backend's options may be a grid
        of their own, `embedded=LoRA.grid(rank=[4, 8])`, or a table of lists,
        `embedded={"rank": [4, 8]}`."""
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
        """A backend's options, as given or else by default. Raises BackendError, and
        InputError for one that has none."""
        return self.options.get(backend) or _class_of(backend)()

    def identity_for(self, model: ModelName) -> dict[str, Any]:
        """What enters the key of a model trained by this backend.

        Raises InputError if the backend cannot honour a field.
        """
        facts = model.facts
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
        """Rows that a job on this model is given besides those that it learns from."""
        return self.own(model.backend).held_out() if model.facts.options else None

    def written_out(self, others: Iterable[Gridded]) -> dict[str, Any]:
        backends = {n for o in others if isinstance(o, Training) for n in o.options}
        own = {name: self.own(name).model_dump(mode="json") for name in backends}
        fields = self.model_dump(mode="json", exclude={"options"})
        return {**fields, **{name: own[name] for name in sorted(own)}}


def _class_of(backend: str) -> type[Options]:
    """The spec of a backend's options. Raises BackendError, and InputError for one that
    has none."""
    options = facts_of(backend).options
    if options is None:
        others = ", ".join(_having_options())
        raise InputError(
            f"training: the {backend} backend has no options of its own; these have "
            f"some: {others}"
        )
    return cast(type[Options], options)


def _having_options() -> list[str]:
    return [name for name in backend_names() if facts_of(name).options]


def _options(backend: str, given: Any) -> Options:
    """A backend's options. Raises ValueError."""
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
    """What is wrong with a table of options, field by field."""
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
