"""Model names, `backend/model` as in Inspect."""

from __future__ import annotations

from dataclasses import dataclass

from motools_build.errors import BackendError, InputError
from motools_build.specs.backends import BackendFacts, facts_of


@dataclass(frozen=True)
class ModelName:
    """A base model and the backend that trains it: `embedded/smollm2-135m-instruct`.
    The model's own name may contain slashes: `local/Qwen/Qwen3-8B`."""

    backend: str
    model: str

    @classmethod
    def parse(cls, name: str) -> ModelName:
        """The model name of a text, `backend/model`. Raises InputError for an unknown
        backend or base model."""
        backend, slash, model = name.partition("/")
        if not slash or not model:
            raise InputError(
                f"{name!r} is not a model: write backend/model, "
                "for example embedded/smollm2-135m-instruct"
            )
        try:
            problem = facts_of(backend).model_problem(model)
        except BackendError as error:
            raise BackendError(f"model {name!r}: {error}") from error
        if problem:
            raise InputError(f"model {name!r}: {problem}")
        return cls(backend, model)

    @property
    def facts(self) -> BackendFacts:
        return facts_of(self.backend)

    @property
    def base(self) -> ModelName:
        """The model whose weights this one begins with: itself, unless its backend
        trains models on disk of another one."""
        name = self.facts.base_of(self.model)
        return ModelName.parse(name) if name else self

    @property
    def short(self) -> str:
        """The last part of the name, for stage names."""
        return self.facts.short_of(self.model)

    def __str__(self) -> str:
        return f"{self.backend}/{self.model}"
