"""Finds the model that `motools/NAME` names, for Inspect outside of a run."""

from __future__ import annotations

from pathlib import Path

from motools_build.backends import registry
from motools_build.errors import ArtifactError, EngineError
from motools_build.specs import ModelName
from motools_build.specs.backends import facts_of, is_backend
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record

PREFIX = 8
"""Least number of hex digits of a key that name a model."""


def looked_up(name: str) -> tuple[str, str | None, str | None]:
    """The backend, the base model's weights and the payload folder of a model, by stage
    name or key prefix; without weights if the backend is to find them, and without
    payload for a base model (`embedded/NAME`).

    Raises ArtifactError if not exactly one model has that name, or if it is at a
    provider; EngineError outside of a project.
    """
    backend = name.partition("/")[0]
    if is_backend(backend) and not facts_of(backend).remote:
        base = ModelName.parse(name)
        return backend, registry.get(backend).weights(base.model, None), None
    root = _project_root()
    store = ArtifactStore(root / "artifacts")
    record = find_model(store, name)
    provider, _, server = record.backend.partition("@")
    if facts_of(provider).remote:
        there = f" (and --model-base-url, for {server})" if server else ""
        raise ArtifactError(
            f"{record.name} is not on this machine but at {provider}, which is asked "
            f"for it by its own name: --model {provider}/{record.output}{there}"
        )
    return record.backend, None, str(store.payload_of(record))


def find_model(store: ArtifactStore, word: str) -> Record:
    """The record of the model with a stage name (with or without `model:`) or a key
    prefix of at least PREFIX digits.

    A name means the key that it had in the last run. Raises ArtifactError if not
    exactly one model matches.
    """
    name = word if word.startswith("model:") else f"model:{word}"
    last = store.runs.keys_of(name)
    accepted = store.accepted.of(last[-1]) if last else None
    key = accepted.of if accepted else last[-1] if last else None
    found = [
        record
        for record in store.records("model")
        if (record.key == key if key else record.name == name)
        or (len(word) >= PREFIX and record.key.startswith(word))
    ]
    if len(found) != 1:
        names = sorted({record.name for record in store.records("model")})
        raise ArtifactError(
            f"{len(found)} models of {store.root} are called {word!r}; give a stage "
            f"name or {PREFIX} or more digits of a key: {', '.join(names) or 'none'}"
        )
    return found[0]


def _project_root() -> Path:
    """The nearest folder, from the working directory upwards, with models in its
    artifacts/. Raises EngineError if there is none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "artifacts" / "model").is_dir():
            return folder
    raise EngineError(
        f"no artifacts/ with models in {here} or above it; go to the project's root"
    )
