"""Model names, `backend/model` as in Inspect, and what planning knows of backends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from motools_build.errors import InputError
from motools_build.keys import Digest
from motools_build.text.similar import known


@dataclass(frozen=True)
class BackendFacts:
    """What a plan needs to know of a training backend; the effects are elsewhere."""

    version: int
    """Raised when the same spec begins to give other weights."""

    uploads: bool = False
    """Whether a dataset must be uploaded before a job can use it."""

    methods: tuple[str, ...] = ("sft",)
    options: str | None = None
    """The field of Training with this backend's own options."""

    bases: dict[str, Digest] = field(default_factory=dict)
    """Base models that are fetched: the pinned digest of each one's weights."""

    hosted: tuple[str, ...] = ()
    """Base models that exist without being fetched."""

    rules: str = "general"
    """What a dataset's rows must keep to: "general", or "openai" for OpenAI's own."""

    remote: bool = False
    """Whether a provider does it, by an account; only the provider knows its models."""

    checkpoints: bool = False
    """Whether a job leaves models of its earlier epochs."""


BACKENDS = {
    "embedded": BackendFacts(
        version=1,
        options="embedded",
        bases={"smollm2-135m-instruct": Digest("1dff70ef9e211d0ab8951aa641e75aa1")},
    ),
    "dummy": BackendFacts(version=1, uploads=True, hosted=("echo",)),
    "openai": BackendFacts(
        version=1,
        uploads=True,
        methods=("sft", "dpo"),
        options="openai",
        rules="openai",
        remote=True,
        checkpoints=True,
    ),
}


@dataclass(frozen=True)
class ModelName:
    """`embedded/smollm2-135m-instruct`: the backend that trains it, and the model."""

    backend: str
    model: str

    @classmethod
    def parse(cls, name: str) -> ModelName:
        """Raises InputError for an unknown backend or base model."""
        backend, slash, model = name.partition("/")
        if not slash or not model:
            raise InputError(
                f"{name!r} is not a model: write backend/model, "
                "for example embedded/smollm2-135m-instruct"
            )
        if backend not in BACKENDS:
            raise InputError(
                f"model {name!r}: there is no backend {backend!r}; "
                + known(backend, BACKENDS)
            )
        if BACKENDS[backend].remote:
            if not re.fullmatch(r"[A-Za-z0-9:._-]+", model):
                raise InputError(
                    f"model {name!r}: {model!r} is no model ID; write it as the "
                    "provider does, for example openai/gpt-4.1-mini-2025-04-14"
                )
            return cls(backend, model)
        models = (*BACKENDS[backend].bases, *BACKENDS[backend].hosted)
        if model not in models:
            raise InputError(
                f"model {name!r}: the {backend} backend has no base model "
                f"{model!r}; " + known(model, models)
            )
        return cls(backend, model)

    @property
    def facts(self) -> BackendFacts:
        return BACKENDS[self.backend]

    @property
    def short(self) -> str:
        """The last part of the name, for stage names."""
        return self.model.rsplit("/", 1)[-1].replace(":", "-")

    def __str__(self) -> str:
        return f"{self.backend}/{self.model}"
