"""The smoke variant of a setting: all its stages, each as small as possible."""

from __future__ import annotations

from motools_build.specs.dataset import Dataset
from motools_build.specs.eval import Eval, epochs_needed
from motools_build.specs.sampled import lessons, sampling
from motools_build.specs.setting import Setting
from motools_build.specs.training import Training

ROWS = 10
"""Rows per dataset: the smallest number that OpenAI trains on."""

SAMPLES = 5
"""Samples per eval."""


def smoked(setting: Setting) -> Setting:
    """The smoke variant: 10 rows per dataset, the first seed, one epoch of training, 5
    samples per eval, and one answer per sample, or as many as the eval's reducer needs.

    Trainings that differ only in their number of epochs become one.
    """
    arms = [
        arm.model_copy(
            update={
                "datasets": tuple(map(smoke_dataset, arm.datasets)),
                "training": arm.training and _one_epoch(arm.training),
            }
        )
        for arm in setting.arms
    ]
    smaller = {
        "arms": arms,
        "datasets": () if arms else tuple(map(smoke_dataset, setting.datasets)),
        "training": _one_epoch(setting.training),
        "seeds": setting.seeds[:1],
        "replicates": 1,
        "evals": tuple(map(_few_samples, setting.evals)),
    }
    return Setting.model_validate({**dict(setting), **smaller})


def smoke_dataset(dataset: Dataset) -> Dataset:
    """The first `ROWS` rows of a dataset, under the same name. A sampled dataset gets
    one answer to each of its first prompts."""
    lesson = sampling(dataset)
    if lesson:
        (prompts,) = dataset.parts
        fewer = {
            "parts": (smoke_dataset(prompts),),
            "step": lesson.model_copy(update={"n": 1}),
        }
        return dataset.model_copy(update=fewer)
    if lessons(dataset):
        return dataset.model_copy(
            update={
                "parts": tuple(map(smoke_dataset, dataset.parts)),
                "step": dataset.step.small(ROWS),
            }
        )
    return dataset.head(ROWS).named(dataset.name, tags=dataset.tags)


def _one_epoch(trainings: tuple[Training, ...]) -> tuple[Training, ...]:
    one = (training.model_copy(update={"epochs": 1}) for training in trainings)
    return tuple(dict.fromkeys(one))


def _few_samples(an_eval: Eval) -> Eval:
    few = min(an_eval.limit or SAMPLES, SAMPLES)
    # one epoch of training does not leave the checkpoints of a longer training
    epochs = epochs_needed(an_eval.reducer)
    changed = {"limit": few, "epochs": epochs, "checkpoint": None}
    return an_eval.model_copy(update=changed)
