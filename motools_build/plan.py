"""From a setting to its stages. Pure, but for the injected `resolve`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from motools_build.errors import InputError
from motools_build.keys import Digest, canonical, stage_key
from motools_build.specs import Dataset, Eval, ModelName, Setting
from motools_build.stages import VERSIONS, Kind, Stage


@dataclass(frozen=True)
class Sources:
    """What of the disk a spec stands for."""

    inputs: Mapping[str, Digest]
    """Role (`dataset`, `task`, `module:helpers`, `file:x.jsonl`) to digest."""
    files: tuple[str, ...]
    """The files behind them, relative to the project's root."""


Resolve = Callable[[Dataset | Eval], Sources]


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a result belongs: one eval of one model."""

    dataset: str
    """The dataset's name, or "base" for the base model itself."""
    model: str
    seed: int | None
    """None for a base model."""
    eval: str
    stage: Stage


@dataclass(frozen=True)
class Plan:
    """All stages of a setting, resolved, each after those it depends on."""

    setting: str
    stages: tuple[Stage, ...]
    cells: tuple[Cell, ...]

    @property
    def roots(self) -> tuple[Stage, ...]:
        """What a run is for: every stage that is not made on demand."""
        return tuple(s for s in self.stages if s.kind not in ("base", "upload"))


def plan(name: str, setting: Setting, resolve: Resolve) -> Plan:
    """The stages of a setting. Raises InputError for what cannot be planned."""
    try:
        builder = _Builder(name, setting, resolve)
        models = setting.base_models()
        for model in models:
            builder.add_model(model, _label(model, models))
    except InputError as error:
        raise type(error)(f"setting {name}: {error}") from error
    return Plan(name, tuple(builder.stages.values()), tuple(builder.cells))


def _label(model: ModelName, models: tuple[ModelName, ...]) -> str:
    """The model's part of a stage name: its last word, if no other model has it."""
    alike = [other for other in models if other.short == model.short]
    return model.short if len(alike) == 1 else str(model).replace("/", "-")


@dataclass(frozen=True)
class _Asked:
    """An eval, resolved: what all its stages have in common."""

    name: str
    backend: str
    spec: dict[str, object]
    canonical_spec: bytes
    sources: Sources
    tags: tuple[str, ...]
    params: dict[str, object]

    @classmethod
    def of(cls, an_eval: Eval, sources: Sources) -> _Asked:
        identity = an_eval.identity()
        overrides = an_eval.model_dump(
            mode="json", include=set(Eval.OVERRIDES), exclude_none=True
        )
        return cls(
            name=an_eval.name,
            backend=an_eval.backend,
            spec=identity,
            canonical_spec=canonical(identity),
            sources=sources,
            tags=an_eval.tags,
            params={
                "file": an_eval.file,
                "function": an_eval.function,
                "eval": an_eval.name,
                "overrides": overrides,
            },
        )


class _Builder:
    def __init__(self, name: str, setting: Setting, resolve: Resolve) -> None:
        self.name = name
        self.setting = setting
        self.resolve = resolve
        self.stages: dict[str, Stage] = {}
        self.cells: list[Cell] = []
        # once a setting, not once a cell: a setting may have thousands of cells
        self.evals = [_Asked.of(an_eval, resolve(an_eval)) for an_eval in setting.evals]

    def add_model(self, model: ModelName, label: str) -> None:
        """Everything made from one base model."""
        setting = self.setting
        base = self._base(model, label)
        identity = setting.training.identity_for(model)
        specs = {seed: {**identity, "seed": seed} for seed in setting.seeds}
        canonical_specs = {seed: canonical(spec) for seed, spec in specs.items()}
        options = setting.training.options_for(model)
        if setting.controls:
            for asked in self.evals:
                self._eval(asked, None, model, label, None, base, None)
        for dataset in setting.datasets:
            sources = self.resolve(dataset)
            upload = self._upload(dataset, sources, model)
            for seed in setting.seeds:
                trained = self._stage(
                    "model",
                    model.backend,
                    f"{dataset.name}/{label}/seed{seed}",
                    specs[seed],
                    canonical_specs[seed],
                    {**sources.inputs, "base": base.key if base else model.model},
                    {
                        "model": str(model),
                        "dataset": dataset.path,
                        "digest": sources.inputs["dataset"],
                        "training": options,
                        "seed": seed,
                    },
                    version=model.facts.version,
                    files=sources.files,
                    tags=dataset.tags,
                    setup=tuple(stage for stage in (base, upload) if stage),
                )
                for asked in self.evals:
                    self._eval(asked, dataset, model, label, seed, base, trained)

    def _base(self, model: ModelName, label: str) -> Stage | None:
        pinned = model.facts.bases.get(model.model)
        if pinned is None:
            return None
        return self._stage(
            "base",
            model.backend,
            label,
            {},
            b"{}",
            {"weights": pinned},
            {"model": str(model), "digest": pinned},
        )

    def _upload(
        self, dataset: Dataset, sources: Sources, model: ModelName
    ) -> Stage | None:
        if not model.facts.uploads:
            return None
        return self._stage(
            "upload",
            model.backend,
            f"{dataset.name}/{model.backend}",
            {},
            b"{}",
            dict(sources.inputs),
            {"dataset": dataset.path, "digest": sources.inputs["dataset"]},
            files=sources.files,
        )

    def _eval(
        self,
        asked: _Asked,
        dataset: Dataset | None,
        model: ModelName,
        label: str,
        seed: int | None,
        base: Stage | None,
        trained: Stage | None,
    ) -> None:
        """An eval of a fine-tuned model, or of the base model where `dataset`, `seed`
        and `trained` are None."""
        subject = trained or base
        data = dataset.name if dataset else "base"
        part = f"seed{seed}/" if trained else ""
        stage = self._stage(
            "eval",
            asked.backend,
            f"{data}/{label}/{part}{asked.name}",
            asked.spec,
            asked.canonical_spec,
            {**asked.sources.inputs, "model": subject.key if subject else str(model)},
            {
                **asked.params,
                "model": str(model),
                "setting": self.name,
                "dataset": data,
                "seed": seed,
            },
            files=asked.sources.files,
            upstream=(trained,) if trained else (),
            tags=(*(dataset.tags if dataset else ()), *asked.tags),
            setup=(base,) if base and asked.params["file"] else (),
        )
        self.cells.append(Cell(data, str(model), seed, asked.name, stage))

    def _stage(
        self,
        kind: Kind,
        backend: str,
        path: str,
        spec: dict[str, object],
        canonical_spec: bytes,
        inputs: dict[str, str],
        params: dict[str, object],
        *,
        version: int | None = None,
        files: tuple[str, ...] = (),
        upstream: tuple[Stage, ...] = (),
        tags: tuple[str, ...] = (),
        setup: tuple[Stage, ...] = (),
    ) -> Stage:
        name = f"{kind}:{self.name}/{path}"
        if name in self.stages:  # an upload that several models share
            return self.stages[name]
        version = VERSIONS[kind] if version is None else version
        key = stage_key(
            kind=kind,
            version=version,
            backend=backend,
            spec=canonical_spec,
            inputs=inputs,
        )
        preimage = {
            "kind": kind,
            "version": version,
            "backend": backend,
            "spec": spec,
            "inputs": inputs,
        }
        stage = Stage(
            kind, backend, name, key, preimage, params, files, upstream, tags, setup
        )
        self.stages[name] = stage
        return stage
