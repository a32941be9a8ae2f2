"""From a setting to its stages. Pure, but for the injected `resolve`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from motools_build.account import Account
from motools_build.errors import InputError
from motools_build.planning.evals import Answers, Asked, Resolve, identity_of, paid_by
from motools_build.planning.matrix import Draw, Line, drawn, matrix
from motools_build.planning.teachers import Others, Teaching
from motools_build.planning.trainings import Models
from motools_build.specs import ModelName, Setting
from motools_build.stages import ON_DEMAND, Stage, Staging


class Cell(NamedTuple):
    """Where a result belongs: one eval of one model."""

    dataset: str
    """The dataset's name, or "base" for a model as it is."""
    model: str
    seed: int | None
    """None for a base model."""
    replicate: int
    """Of the same seed; 0 for the first."""
    eval: str
    stage: Stage
    arm: str = ""
    """Empty for a base model, and in a setting without arms."""
    training: str = ""
    """What of the training differs from the setting's others: `epochs3`."""


@dataclass(frozen=True)
class Plan:
    """All stages of a setting, resolved, each after those it depends on."""

    setting: str
    stages: tuple[Stage, ...]
    cells: tuple[Cell, ...]

    @property
    def roots(self) -> tuple[Stage, ...]:
        """What a run is for: every stage that is not made on demand."""
        return tuple(s for s in self.stages if s.kind not in ON_DEMAND)


def plan(
    name: str,
    setting: Setting,
    resolve: Resolve,
    account: Account | None = None,
    variant: str = "",
    others: Others | None = None,
) -> Plan:
    """The stages of a setting, or of a variant of it, whose stages are called
    `kind:setting/variant/...`; `others` gives the settings that its teachers are of.
    Raises InputError for what cannot be planned."""
    account = account or Account()
    staging = Staging(f"{name}/{variant}" if variant else name)
    try:
        lines = matrix(setting)
        labels = _labels(tuple(lines))
        ask = Teaching(others).stage
        models = Models(name, setting, account, resolve, staging, labels, ask)
        # once a setting, not once a cell: a setting may have thousands of cells
        evals = [Asked.of(e, resolve(e), account) for e in setting.evals]
        cells = tuple(
            cell
            for model, label in labels.items()
            for cell in _cells(models, model, label, lines[model], evals)
        )
    except InputError as error:
        raise type(error)(f"setting {name}: {error}") from error
    return Plan(name, tuple(staging.stages.values()), cells)


def _labels(models: tuple[ModelName, ...]) -> dict[ModelName, str]:
    """Each model's part of stage names: its last word, if no other model has it."""
    shorts = [model.short for model in models]
    found: dict[str, ModelName] = {}
    for model, short in zip(models, shorts, strict=True):
        label = short if shorts.count(short) == 1 else re.sub("[/:]", "-", str(model))
        other = found.setdefault(label, model)
        if other != model:
            raise InputError(
                f"models {other} and {model} would both be called {label}; leave one "
                "to another setting"
            )
    return {model: label for label, model in found.items()}


@dataclass(slots=True)  # not frozen: that takes longer, thousands of times
class _Subject:
    """A model that evals are of: fine-tuned, or as it is."""

    path: str
    """Its part of stage names."""
    about: dict[str, Any]
    """The params of its evals that say what it is."""
    answers: Answers
    replicate: int = 0
    training: str = ""

    def cells(
        self, asked: Asked, arms: tuple[str, ...], staging: Staging
    ) -> Iterator[Cell]:
        """Where the eval's result belongs; a cell for each arm."""
        path, about = f"{self.path}/{asked.name}", self.about
        stage = asked.staged(path, self.answers, about, staging)
        for arm in arms:
            yield Cell(
                about["dataset"],
                about["model"],
                about["seed"],
                self.replicate,
                asked.name,
                stage,
                arm,
                self.training,
            )


def _cells(
    models: Models,
    model: ModelName,
    label: str,
    lines: tuple[Line, ...],
    evals: list[Asked],
) -> Iterator[Cell]:
    """All that is made from one base model; nothing is trained without lines."""
    setting, staging = models.setting, models.staging
    if lines:
        _check_checkpoints(evals, model)
    if not lines or setting.controls or str(model) in setting.bare:
        subject = _as_it_is(models, model, label)
        for asked in evals:
            yield from subject.cells(asked.of_base(), ("",), staging)
    # a training is worked out once, not once a dataset
    draws = {t: drawn(setting, t, model) for t in {line.training for line in lines}}
    for line in lines:
        # once a line, not once a cell
        arms = [line.arms_of(an_eval) for an_eval in setting.evals]
        asked_in = [pair for pair in zip(evals, arms, strict=True) if pair[1]]
        for subject in _fine_tuned(models, line, model, label, draws[line.training]):
            for asked, its_arms in asked_in:
                yield from subject.cells(asked, its_arms, staging)


def _as_it_is(models: Models, model: ModelName, label: str) -> _Subject:
    base, path = models.base(model, label), f"base/{label}"
    name = f"{identity_of(model, models.account)}/{model.model}"
    about = _about(models, model, path, "base", None)
    answers = Answers(
        inputs={"model": base.key if base else name},
        params={**about, **paid_by(models.account, model)},
        setup=(base,) if base else (),
    )
    return _Subject(path, about, answers)


def _fine_tuned(
    models: Models,
    line: Line,
    model: ModelName,
    label: str,
    draws: tuple[Draw, ...],
) -> Iterator[_Subject]:
    base, payer = models.base(model, label), paid_by(models.account, model)
    place = line.path(label)
    for draw, stage in models.trained(line, model, label, draws):
        path = f"{place}/{draw}"
        about = _about(models, model, path, line.dataset.name, draw.seed)
        about["arms"] = [arm for arm in line.arms if arm]
        answers = Answers(
            inputs={"model": stage.key},
            params={**about, **payer},
            upstream=(stage,),
            setup=(base,) if base else (),
            tags=line.tags,
        )
        yield _Subject(path, about, answers, draw.replicate, line.label)


def _about(
    models: Models, model: ModelName, path: str, dataset: str, seed: int | None
) -> dict[str, Any]:
    return {
        "model": str(model),
        "subject": f"{models.staging.place}/{path}",
        "setting": models.name,
        "dataset": dataset,
        "seed": seed,
    }


def _check_checkpoints(evals: list[Asked], model: ModelName) -> None:
    for asked in evals:
        if asked.checkpoint is not None and not model.facts.checkpoints:
            raise InputError(
                f"eval {asked.name}: checkpoint={asked.checkpoint}: the "
                f"{model.backend} backend keeps no checkpoints; leave it out"
            )
