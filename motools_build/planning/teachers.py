"""Plans the stages in which teacher models write datasets for students."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from motools_build.account import Account
from motools_build.errors import InputError
from motools_build.keys import canonical
from motools_build.params import Lesson, LessonParams, Subject
from motools_build.planning.evals import Payer, identity_of, paid_by, payer_of
from motools_build.planning.matrix import Draw, Line
from motools_build.planning.trainings import Models
from motools_build.specs import Dataset, ModelName, Setting, Teacher, Training
from motools_build.specs.grid import labels
from motools_build.specs.sampled import Sampled
from motools_build.stages import Stage
from motools_build.text.similar import known

Others = Callable[[str], tuple[Setting, Account | Payer]]
"""Function from a setting's name to the setting, with the command's variables applied,
and its accounts. Raises SelectionError if there is no such setting."""


class _Chosen(NamedTuple):
    """The planned teacher of a dataset."""

    base: Stage | None
    """The stage that fetches the base model's weights; None if a provider serves it."""
    trained: Stage | None
    """The stage of the fine-tuned model; None if the teacher is a base model."""
    path: str
    """The teacher's part of stage names, after the setting."""
    identity: str
    """The model's identity in keys, for a model that no stage makes."""
    payer: Payer


class Teaching:
    """Plans the sampled datasets of one plan."""

    def __init__(self, others: Others | None) -> None:
        self._others = others
        self._known: dict[str, Models] = {}
        """Setting -> the planner of its models."""
        self._asking: list[str] = []
        """Names of the sampled datasets that are being planned, a stack: each is needed
        by the one before it."""

    def stage(
        self,
        models: Models,
        dataset: Dataset,
        lesson: Sampled,
        model: ModelName,
        label: str,
    ) -> Stage:
        """The stage that asks the dataset's teacher, for a student of the base model
        `model`. Raises InputError for a teacher that cannot be planned."""
        self._known.setdefault(models.name, models)
        staging, who = models.staging, lesson.teacher
        path = dataset.name if who.model else f"{dataset.name}/{label}"
        if who.model:
            model = ModelName.parse(who.model)
            label = models.labels.get(model) or re.sub("[/:]", "-", str(model))
        chosen = self._choose(models, dataset, who, model, label)
        (prompts,) = dataset.parts
        sources = models.resolve(prompts)
        made = models.derived(prompts, sources)
        asked = chosen.trained or chosen.base
        identity = lesson.identity()
        return staging.add(
            "dataset",
            "inspect",
            path,
            identity,
            canonical(identity),
            {
                "model": asked.key if asked else chosen.identity,
                "prompts": sources.inputs["dataset"],
            },
            LessonParams(
                Lesson(
                    dataset_name=dataset.name,
                    prompts_path=sources.files[0],
                    prompts_digest=sources.inputs["dataset"],
                    prompts_name=prompts.name,
                    system=lesson.system,
                    overrides=lesson.overrides(),
                ),
                Subject(
                    model=str(model),
                    served_as=f"{staging.place}/{chosen.path}",
                    setting=models.name,
                    dataset_name=dataset.name,
                    seed=who.seed if who.of else None,
                    base=model.facts.base_of(model.model) or "",
                ),
            ),
            paid_by(chosen.payer, model),
            files=sources.files,
            upstream=(chosen.trained,) if chosen.trained else (),
            setup=tuple(stage for stage in (chosen.base, made) if stage),
            tags=dataset.tags,
        )

    def _choose(
        self,
        models: Models,
        dataset: Dataset,
        who: Teacher,
        model: ModelName,
        label: str,
    ) -> _Chosen:
        """Plan the teacher: its base model, and its fine-tuned model if the teacher is
        one."""
        field = _field(models, dataset)
        theirs = self._of(who, models, field)
        base = models.base(model, label)
        identity = f"{identity_of(model, theirs.payer)}/{model.model}"
        if not who.of:
            return _Chosen(base, None, f"base/{label}", identity, theirs.payer)
        line = _line(theirs, who, model, field)
        spec = {**line.training.identity_for(model), "seed": who.seed}
        draws = (Draw(who.seed, 0, spec, canonical(spec)),)
        with self._in_turn(dataset, field):
            ((draw, trained),) = theirs.trained(line, model, label, draws)
        path = f"{line.path(label)}/{draw}"
        return _Chosen(base, trained, path, identity, theirs.payer)

    def _of(self, who: Teacher, models: Models, field: str) -> Models:
        """The planner of the models of the teacher's setting. Raises InputError if
        there is no such setting."""
        name = who.setting or models.name
        if name not in self._known:
            if self._others is None:
                raise InputError(f"{field} there are no other settings")
            try:
                setting, account = self._others(name)
            except InputError as error:
                raise type(error)(f"{field} {error}") from error
            self._known[name] = replace(
                models,
                name=name,
                setting=setting,
                payer=payer_of(account),
                mark=f"@{name}",
            )
        return self._known[name]

    @contextmanager
    def _in_turn(self, dataset: Dataset, field: str) -> Iterator[None]:
        """Mark a dataset as being planned. Raises InputError for a cycle: a teacher
        that would learn from its own student."""
        name = dataset.name
        if name in self._asking:
            circle = [*self._asking[self._asking.index(name) :], name]
            raise InputError(
                f"{field} a circle: {', whose teacher learns from '.join(circle)}; let "
                'one of them be sampled from a model as it is, teacher="backend/model"'
            )
        self._asking.append(name)
        try:
            yield
        finally:
            self._asking.pop()


def _line(theirs: Models, who: Teacher, model: ModelName, field: str) -> Line:
    """The dataset and training of a fine-tuned teacher. Raises InputError unless
    exactly one line of the setting matches the teacher's `of`."""
    arms_of: dict[tuple[Dataset, Training], list[str]] = {}
    meant = set()
    names = set()
    for arm, datasets, models, trainings in theirs.setting.parts():
        names |= {arm, *(dataset.name for dataset in datasets)}
        for point in itertools.product(datasets, trainings):
            arms = arms_of.setdefault(point, [])
            if str(model) in models:
                arms.append(arm)
            if who.of in (arm, point[0].name):
                meant.add(point)
    if not meant:
        raise InputError(
            f"{field} setting {theirs.name} has no dataset and no arm called "
            f"{who.of!r}; {known(who.of, filter(None, names))}"
        )
    if len(meant) > 1:
        raise InputError(
            f"{field} {who.of!r} of setting {theirs.name} is {len(meant)} models of "
            "one base, by dataset and training; name a dataset, or an arm, that is "
            "one"
        )
    ((dataset, training),) = meant
    label = labels(theirs.setting.trainings())[training]
    if theirs.mark:  # another setting's arms and tags must not select stages here
        update = {"name": dataset.name + theirs.mark, "tags": ()}
        return Line(dataset.model_copy(update=update), training, label, ())
    return Line(dataset, training, label, tuple(arms_of[dataset, training]))


def _field(models: Models, dataset: Dataset) -> str:
    """The place of the teacher in the user's file, to begin error messages with."""
    name = dataset.name.removesuffix(models.mark)
    return f"zoo/{models.name}.py: datasets: {name}: teacher:"
