"""The smoke variant of a setting: all its stages, each as small as possible."""

from __future__ import annotations

from motools_build.specs.dataset import Dataset
from motools_build.specs.eval import Eval, epochs_needed
from motools_build.specs.sampled import lessons, sampling
from motools_build.specs.setting import Setting
from motools_build.specs.training import Training

ROWS = 10
"""Rows of each dataset: the fewest that OpenAI trains on."""

SAMPLES = 5
"""Samples of each eval."""


def smoked(setting: Setting) -> Setting:
    """Ten rows a dataset, the first seed, one epoch, and 5 samples an eval, one answer
    to each; as many as its reducer needs, where that is more.

    What differed in the number of epochs alone becomes one training.
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
    """The first rows of a dataset, under its name; of one that is sampled, one answer
    to each of the first prompts."""
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
    # a training of one epoch does not have the checkpoints of a longer one
    epochs = epochs_needed(an_eval.reducer)
    changed = {"limit": few, "epochs": epochs, "checkpoint": None}
    return an_eval.model_copy(update=changed)
