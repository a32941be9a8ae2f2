"""Plans the stages of a fine-tuned model: base weights, dataset, upload, model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from motools_build.errors import InputError
from motools_build.keys import Digest
from motools_build.params import BaseParams, ModelParams, Recipe, UploadParams
from motools_build.planning.evals import Payer, Resolve, Sources, identity_of, paid_by
from motools_build.planning.later import later
from motools_build.planning.matrix import Draw, Line
from motools_build.specs import Dataset, ModelName, Setting, Training
from motools_build.specs.sampled import Sampled, lessons, refuse_sampled, sampling
from motools_build.stages import Stage, Staging


@dataclass(frozen=True)
class _HeldOut:
    """The rows on which a training's loss is measured; by default there are none."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    """What they are in the model's key."""
    rows: tuple[str, str] = ("", "")
    """Path and digest of the file."""
    files: tuple[str, ...] = ()
    made: Stage | None = None
    """The last stage that makes the rows, if they are derived."""
    upload: Stage | None = None
    """The upload of the rows, for a backend that needs one."""


@dataclass(frozen=True)
class Models:
    """Plans the models that a setting trains."""

    name: str
    """The setting's name."""
    setting: Setting
    payer: Payer
    resolve: Resolve
    staging: Staging
    labels: Mapping[ModelName, str]
    """Base model -> its part of stage names."""
    ask: Callable[[Models, Dataset, Sampled, ModelName, str], Stage]
    """Function that plans the stage in which a teacher writes a dataset for students of
    the given base model."""
    mark: str = ""
    """Suffix (`@setting`) for datasets planned on behalf of another setting; else
    empty."""

    def base(self, model: ModelName, label: str) -> Stage | None:
        """The stage that fetches the base weights; None if the backend pins no weights
        for the model, as for a provider's models."""
        model = model.base
        pinned = model.facts.bases.get(model.model)
        if model.facts.on_disk:
            pinned = self.resolve(model).inputs["weights"]
        if pinned is None:
            return None
        return self.staging.add(
            "base",
            model.backend,
            label,
            {},
            b"{}",
            {"weights": pinned},
            BaseParams(str(model), pinned),
        )

    def on_disk(self, model: ModelName) -> Stage | None:
        """The stage of a base model on this machine's disk; None for a model that its
        name identifies."""
        if not model.facts.on_disk:
            return None
        label = self.labels.get(model) or re.sub("[/:]", "-", str(model))
        return self.base(model, label)

    def trained(
        self, line: Line, model: ModelName, label: str, draws: tuple[Draw, ...]
    ) -> Iterator[tuple[Draw, Stage]]:
        """Each draw of a line with the stage of its model. Raises InputError for a
        dataset or held-out rows that the training cannot use."""
        dataset, recipe = line.dataset, _recipe(line.training, model)
        trainer = model.facts.trainer(model.model, recipe)
        code = self.resolve(trainer) if trainer else Sources({}, ())
        base = self.base(model, label)
        sources = self._sources(dataset, line.training, model, label)
        made = self.derived(dataset, sources)
        upload = self._upload(dataset, sources, model)
        held_out = self._validation(line.training, model, sources)
        checked = held_out.upload
        used = (base, made, sources.sampled, upload, checked, held_out.made)
        backend = identity_of(model, self.payer)
        inputs = {
            **sources.inputs,
            **held_out.inputs,
            **code.inputs,
            "base": base.key if base else model.model,
        }
        path, version = line.path(label), model.facts.version
        rows_path, rows_digest = sources.rows
        account = paid_by(self.payer, model)
        relations = {
            "files": (*sources.files, *held_out.files, *code.files),
            "tags": line.tags,
            "upstream": (sources.sampled,) if sources.sampled else (),
            "setup": tuple(stage for stage in used if stage is not None),
        }
        for draw in draws:
            stage = self.staging.add(
                "model",
                backend,
                f"{path}/{draw}",
                draw.spec,
                draw.canonical_spec,
                inputs,
                ModelParams(
                    rows_path,
                    rows_digest,
                    dataset.name,
                    str(model),
                    recipe,
                    draw.seed,
                    checked.key if checked else "",
                    *held_out.rows,
                    trainer,
                ),
                account,
                version=version,
                **relations,
            )
            yield draw, stage

    def derived(self, dataset: Dataset, sources: Sources) -> Stage | None:
        """Add the stages that make a derived dataset, and return the last one; None for
        a dataset that is a file."""
        named: dict[str, Stage] = {}
        for number, stage in enumerate(sources.stages, 1):
            last = number == len(sources.stages)
            part = "" if last else f"/{number}-{stage.name}"
            named[stage.key] = made = self.staging.put(
                replace(
                    stage,
                    name=f"{dataset.name}{part}",
                    setup=tuple(named[used.key] for used in stage.setup),
                    tags=dataset.tags if last else (),
                )
            )
        return made if named else None

    def _sources(
        self, dataset: Dataset, training: Training, model: ModelName, label: str
    ) -> Sources:
        """The sources of a dataset for students of one base model. Raises InputError
        if a sampled dataset is used with a method other than `sft`."""
        if not lessons(dataset):
            return self.resolve(dataset)
        if training.method != "sft":
            raise InputError(
                f"training.method: {training.method!r} learns from pairs, and "
                f"{dataset.name} is sampled, one answer a row; use method='sft'"
            )
        lesson = sampling(dataset)
        if lesson:
            stage = self.ask(self, dataset, lesson, model, label)
        else:
            code, parts = self.resolve(dataset), dataset.parts
            found = [self._sources(part, training, model, label) for part in parts]
            made = list(map(self.derived, parts, found))
            stage = later(dataset, label, found, made, code, self.staging)
        return Sources({"dataset": Digest(stage.key)}, (), sampled=stage)

    def _upload(
        self, dataset: Dataset, sources: Sources, model: ModelName
    ) -> Stage | None:
        """The upload of a dataset; None if the backend needs none."""
        if not model.facts.uploads:
            return None
        made = self.derived(dataset, sources)
        scope = {"scope": self.payer(model.backend).scope} if model.facts.remote else {}
        return self.staging.add(
            "upload",
            identity_of(model, self.payer),
            f"{self._called(dataset, sources)}/{model.backend}",
            {},
            b"{}",
            {**sources.inputs, **scope},
            UploadParams(*sources.rows),
            paid_by(self.payer, model),
            files=sources.files,
            upstream=(sources.sampled,) if sources.sampled else (),
            setup=tuple(stage for stage in (made, sources.sampled) if stage),
        )

    def _called(self, dataset: Dataset, sources: Sources) -> str:
        """A dataset's part of stage names. A sampled dataset has its stage's path,
        since each base model may have a teacher of its own."""
        if sources.sampled is None:
            return dataset.name
        return sources.sampled.name.removeprefix(f"dataset:{self.staging.place}/")

    def _validation(
        self, training: Training, model: ModelName, trained_on: Sources
    ) -> _HeldOut:
        """A training's held-out rows. Raises InputError if they have the bytes of the
        training rows."""
        dataset = training.held_out(model)
        if dataset is None:
            return _HeldOut()
        field = f"training.{model.backend}.validation"
        refuse_sampled(dataset, f"{field} takes rows that are there")
        sources = self.resolve(dataset)
        digest = sources.inputs["dataset"]
        if digest == trained_on.inputs["dataset"]:
            raise InputError(
                f"{field}: {dataset.name} has the bytes of a "
                "dataset that is trained on; hold other rows out"
            )
        return _HeldOut(
            {"validation": digest},
            sources.rows,
            sources.files,
            self.derived(dataset, sources),
            self._upload(dataset, sources, model),
        )


def _recipe(training: Training, model: ModelName) -> Recipe:
    """The training's fields for the model's backend, defaults included."""
    own = training.own(model.backend) if model.facts.options else None
    return Recipe(
        method=training.method,
        epochs=training.epochs,
        batch_size=training.batch_size,
        options=own.model_dump(mode="json") if own else {},
    )
