"""Trackers of others: wandb, mlflow, trackio. Each is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from motools_build.errors import InputError, MissingExtra
from motools_build.project.config import TRACKERS


@dataclass(frozen=True)
class Told:
    """What is told of one model: its curve, or the results of one of its evals."""

    project: str
    """The setting's name."""
    run: str
    """Identity of the model's run, from the model's key; the same for its evals."""
    name: str
    """The run's name, for people."""
    config: Mapping[str, Any]
    points: Iterable[tuple[int, Mapping[str, float]]] = field(default=())
    """Step and metrics, in order; results of evals have step 0."""


class Tracker(Protocol):
    """Mirrors what is told. May block, and may raise anything."""

    def tell(self, told: Told) -> None: ...


class Wandb:
    """A run of Weights & Biases for each model; its ID is the model's key. Where, and
    whether online, is said by wandb's own environment variables."""

    def __init__(self, module: Any) -> None:
        self._wandb = module

    def tell(self, told: Told) -> None:
        run = self._wandb.init(
            project=told.project,
            id=told.run,
            name=told.name,
            config=dict(told.config),
            resume="allow",
            reinit=True,
        )
        for step, metrics in told.points:
            # wandb takes no step that it has passed, as after a curve; so it is a value
            run.log({**metrics, "training_step": step} if step else dict(metrics))
        run.finish()


class Mlflow:
    """A run of MLflow for each model, found by its tag. Where is said by MLflow's own
    environment variables (`MLFLOW_TRACKING_URI`)."""

    TAG = "motools_build.key"

    def __init__(self, module: Any) -> None:
        self._mlflow = module

    def tell(self, told: Told) -> None:
        client = self._mlflow.MlflowClient()
        experiment = client.get_experiment_by_name(told.project)
        where = (
            experiment.experiment_id
            if experiment
            else client.create_experiment(told.project)
        )
        found = client.search_runs([where], f"tags.`{self.TAG}` = '{told.run}'")
        if found:
            run = found[0].info.run_id
        else:
            tags = {self.TAG: told.run, "mlflow.runName": told.name}
            run = client.create_run(where, tags=tags).info.run_id
            for name, value in told.config.items():
                client.log_param(run, name, str(value)[:500])
        for step, metrics in told.points:
            for name, value in metrics.items():
                client.log_metric(run, name, value, step=step)
        client.set_terminated(run)


class Trackio:
    """A run of trackio for each model, named by its key, in the store on this machine
    unless trackio's own environment variables say otherwise."""

    def __init__(self, module: Any) -> None:
        self._trackio = module

    def tell(self, told: Told) -> None:
        run = self._trackio.init(
            project=told.project,
            name=f"{told.name}-{told.run[:8]}",
            config=dict(told.config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        for step, metrics in told.points:
            run.log(dict(metrics), step=step)
        run.finish()


_TRACKERS: dict[str, tuple[Callable[[], Tracker], str]] = {
    "wandb": (
        lambda: Wandb(import_module("wandb")),
        "pip install 'motools_build[wandb]'",
    ),
    "mlflow": (
        lambda: Mlflow(import_module("mlflow")),
        "pip install 'motools_build[mlflow]'",
    ),
    "trackio": (
        lambda: Trackio(import_module("trackio")),
        "pip install 'motools_build[trackio]'",
    ),
}
"""Name to what makes the tracker, and how its package is installed."""


def tracker(name: str) -> Tracker:
    """The tracker of that name. Raises InputError for an unknown name, and MissingExtra
    if its package is not installed."""
    if name not in _TRACKERS:
        raise InputError(f"track = {name!r}: trackers are {', '.join(TRACKERS)}")
    make, remedy = _TRACKERS[name]
    try:
        return make()
    except ImportError as error:
        raise MissingExtra(f"track = {name!r} needs its package: {remedy}") from error
