"""Teacher -> dataset -> student, while planning: who is asked, and by which stage."""

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
"""A setting by its name, under the command's variables, and who pays for it. Raises
SelectionError if there is none."""


class _Chosen(NamedTuple):
    """A dataset's teacher, as it is planned."""

    base: Stage | None
    """The base model, where this machine serves it."""
    trained: Stage | None
    """What was trained on it; None where the model is asked as it is."""
    path: str
    """How its stages are named, below their setting."""
    identity: str
    """What a key has of a model that no stage makes."""
    payer: Payer


class Teaching:
    """The datasets that models write, of one plan."""

    def __init__(self, others: Others | None) -> None:
        self._others = others
        self._known: dict[str, Models] = {}
        """By setting: what plans its models."""
        self._asking: list[str] = []
        """The sampled datasets that are being planned, each for the one before."""

    def stage(
        self,
        models: Models,
        dataset: Dataset,
        lesson: Sampled,
        model: ModelName,
        label: str,
    ) -> Stage:
        """The stage in which the dataset's teacher is asked, where that base model
        learns from it. Raises InputError for a teacher that cannot be asked."""
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
        """Plan the teacher: the base model, and what is trained on it, if it is to have
        learned something."""
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
        """What plans the models of the teacher's setting."""
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
        """Raises InputError for a teacher that would learn from its own student."""
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
    """What the teacher learned, and how. Raises InputError unless the setting has
    one such dataset or arm."""
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
    if theirs.mark:  # of no arm of this setting, and tagged by none of its words
        update = {"name": dataset.name + theirs.mark, "tags": ()}
        return Line(dataset.model_copy(update=update), training, label, ())
    return Line(dataset, training, label, tuple(arms_of[dataset, training]))


def _field(models: Models, dataset: Dataset) -> str:
    """Where the author wrote it."""
    name = dataset.name.removesuffix(models.mark)
    return f"zoo/{models.name}.py: datasets: {name}: teacher:"
