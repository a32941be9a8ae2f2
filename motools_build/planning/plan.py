"""From a setting to its stages. All reads of the disk go through the injected
`resolve`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from motools_build.account import Account
from motools_build.errors import InputError
from motools_build.params import Subject
from motools_build.planning.evals import (
    Answers,
    Payer,
    PlannedEval,
    Resolve,
    identity_of,
    paid_by,
    payer_of,
)
from motools_build.planning.matrix import Draw, Line, drawn, matrix
from motools_build.planning.teachers import Others, Teaching
from motools_build.planning.trainings import Models
from motools_build.specs import ModelName, Setting
from motools_build.stages import ON_DEMAND, Stage, Staging


class Cell(NamedTuple):
    """The place of one result in the setting's table: one eval of one model."""

    dataset: str
    """The name of the training dataset, or "base" for a model without fine-tuning."""
    model: str
    seed: int | None
    """The training's seed; None for a base model."""
    replicate: int
    """Number among the trainings with the same seed; 0 for the first."""
    eval: str
    stage: Stage
    arm: str = ""
    """The arm's name; empty for a base model, and in a setting without arms."""
    training: str = ""
    """The training's values that differ within the setting (`epochs3`); empty if there
    is only one training."""


@dataclass(frozen=True)
class Plan:
    """All stages of a setting with their keys, dependencies first."""

    setting: str
    stages: tuple[Stage, ...]
    cells: tuple[Cell, ...]

    @property
    def roots(self) -> tuple[Stage, ...]:
        """The goals of a run: every stage except those built on demand."""
        return tuple(s for s in self.stages if s.kind not in ON_DEMAND)


def plan(
    name: str,
    setting: Setting,
    resolve: Resolve,
    account: Account | Payer | None = None,
    variant: str = "",
    others: Others | None = None,
) -> Plan:
    """The plan of a setting. With a `variant`, stage names begin with
    `kind:setting/variant/`. `others` looks up other settings whose models are teachers
    here. Raises InputError for a setting that cannot be planned."""
    payer = payer_of(account)
    staging = Staging(f"{name}/{variant}" if variant else name)
    try:
        lines = matrix(setting)
        labels = labels_of(tuple(lines))
        ask = Teaching(others).stage
        models = Models(name, setting, payer, resolve, staging, labels, ask)
        # once per setting, not per cell: a setting may have thousands of cells
        evals = [
            PlannedEval.of(e, resolve(e), payer, models.on_disk) for e in setting.evals
        ]
        cells = tuple(
            cell
            for model, label in labels.items()
            for cell in _cells(models, model, label, lines[model], evals)
        )
    except InputError as error:
        raise type(error)(f"setting {name}: {error}") from error
    return Plan(name, tuple(staging.stages.values()), cells)


def labels_of(models: tuple[ModelName, ...]) -> dict[ModelName, str]:
    """Model -> its part of stage names: the last part of the model's name if that is
    unique, else the whole name. Raises InputError if two models get the same one."""
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


@dataclass(slots=True)  # not frozen: slower to construct, and a plan makes thousands
class _Evaluated:
    """A model to evaluate: fine-tuned, or a base model."""

    path: str
    """The model's part of stage names."""
    answers: Answers
    replicate: int = 0
    training: str = ""

    def cells(
        self, an_eval: PlannedEval, arms: tuple[str, ...], staging: Staging
    ) -> Iterator[Cell]:
        """Add the eval's stages, and yield a cell for each arm."""
        subject = self.answers.subject
        path = f"{self.path}/{an_eval.name}"
        stage = an_eval.staged(path, self.answers, staging)
        for arm in arms:
            yield Cell(
                subject.dataset_name,
                subject.model,
                subject.seed,
                self.replicate,
                an_eval.name,
                stage,
                arm,
                self.training,
            )


def _cells(
    models: Models,
    model: ModelName,
    label: str,
    lines: tuple[Line, ...],
    evals: list[PlannedEval],
) -> Iterator[Cell]:
    """The cells of one base model and of the models that its lines train."""
    setting, staging = models.setting, models.staging
    if lines:
        _check_checkpoints(evals, model)
    if not lines or setting.controls or str(model) in setting.bare:
        evaluated = _as_it_is(models, model, label)
        for an_eval in evals:
            yield from evaluated.cells(an_eval.of_base(), ("",), staging)
    # once per training, not per dataset
    draws = {t: drawn(setting, t, model) for t in {line.training for line in lines}}
    for line in lines:
        # once per line, not per cell
        arms = [line.arms_of(an_eval) for an_eval in setting.evals]
        its = [pair for pair in zip(evals, arms, strict=True) if pair[1]]
        for evaluated in _fine_tuned(models, line, model, label, draws[line.training]):
            for an_eval, its_arms in its:
                yield from evaluated.cells(an_eval, its_arms, staging)


def _as_it_is(models: Models, model: ModelName, label: str) -> _Evaluated:
    """The base model itself, without fine-tuning."""
    base, path = models.base(model, label), f"base/{label}"
    name = f"{identity_of(model, models.payer)}/{model.model}"
    answers = Answers(
        inputs={"model": base.key if base else name},
        subject=_subject(models, model, path, "base", None),
        account=paid_by(models.payer, model),
        setup=(base,) if base else (),
    )
    return _Evaluated(path, answers)


def _fine_tuned(
    models: Models,
    line: Line,
    model: ModelName,
    label: str,
    draws: tuple[Draw, ...],
) -> Iterator[_Evaluated]:
    """The fine-tuned models of a line, one per draw."""
    base, account = models.base(model, label), paid_by(models.payer, model)
    place, arms = line.path(label), tuple(arm for arm in line.arms if arm)
    for draw, stage in models.trained(line, model, label, draws):
        path = f"{place}/{draw}"
        answers = Answers(
            inputs={"model": stage.key},
            subject=_subject(models, model, path, line.dataset.name, draw.seed, arms),
            account=account,
            upstream=(stage,),
            setup=(base,) if base else (),
            tags=line.tags,
        )
        yield _Evaluated(path, answers, draw.replicate, line.label)


def _subject(
    models: Models,
    model: ModelName,
    path: str,
    dataset: str,
    seed: int | None,
    arms: tuple[str, ...] = (),
) -> Subject:
    """The model under test, as params describe it."""
    served_as = f"{models.staging.place}/{path}"
    base = model.facts.base_of(model.model) or ""
    return Subject(str(model), served_as, models.name, dataset, seed, arms, base)


def _check_checkpoints(evals: list[PlannedEval], model: ModelName) -> None:
    """Raises InputError if an eval names a checkpoint and the backend keeps none."""
    for an_eval in evals:
        if an_eval.checkpoint is not None and not model.facts.checkpoints:
            raise InputError(
                f"eval {an_eval.name}: checkpoint={an_eval.checkpoint}: the "
                f"{model.backend} backend keeps no checkpoints; leave it out"
            )
