"""Mirroring models' curves and evals' results to a tracker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.doit_host.watching.listener import Listener
from motools_build.doit_host.watching.trackers import Told, Tracker
from motools_build.errors import MotoolsError, in_words
from motools_build.params import EvalParams, ModelParams
from motools_build.report.curves import curve_in, numbers
from motools_build.text.scrub import scrub_values

if TYPE_CHECKING:
    from motools_build.doit_host.watching.summary import Summary
    from motools_build.stages import Stage
    from motools_build.store.artifacts import ArtifactStore
    from motools_build.store.records import Record

TIMEOUT = 120.0
"""Seconds that the end of a run waits for its trackers."""


class Tracking(Listener):
    """Tells a tracker of each model and eval that the run makes, in a thread. A mark in
    `artifacts/tracked/` says that an artifact was told, so that none is told twice."""

    def __init__(self, name: str, tracker: Tracker, store: ArtifactStore) -> None:
        self._name, self._tracker, self._store = name, tracker, store
        self._thread = ThreadPoolExecutor(1, "tracker")
        self._told: list[Future[None]] = []

    def made(self, stage: Stage, record: Record | None) -> None:
        if record is None or stage.kind not in ("model", "eval"):
            return
        self._told.append(self._thread.submit(self._tell, stage, record))

    def ended(self, summary: Summary) -> None:
        done, left = wait(self._told, TIMEOUT)
        self._thread.shutdown(wait=not left, cancel_futures=True)
        failed = [error for one in done if (error := one.exception())]
        if failed or left:
            why = in_words(failed[0]) if failed else "it did not end in time"
            raise MotoolsError(
                f"{self._name} was not told of {len(failed) + len(left)} stages "
                f"({why}); what the run made is kept"
            )

    def _tell(self, stage: Stage, record: Record) -> None:
        mark = self._store.root / "tracked" / f"{self._name}-{stage.key}"
        if mark.exists():
            return
        is_model = stage.kind == "model"
        points = self._curve(stage) if is_model else _results(stage, record)
        run, name, config = _run_of(stage)
        told = Told(stage.setting, run, name, scrub_values(config), tuple(points))
        self._tracker.tell(told)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()

    def _curve(self, stage: Stage) -> Iterator[tuple[int, Mapping[str, float]]]:
        yield from curve_in(Path(self._store.materialise(stage)))


def _results(stage: Stage, record: Record) -> Iterator[tuple[int, Mapping[str, float]]]:
    of = EvalParams.of(stage).task.eval_name
    scores = record.details.get("scores", {})
    found = {
        f"{of}/{scorer}/{metric}": value
        for scorer, metrics in scores.items()
        if isinstance(metrics, Mapping)
        for metric, value in numbers(metrics).items()
    }
    if found:
        yield 0, found


def _run_of(stage: Stage) -> tuple[str, str, dict[str, Any]]:
    """The identity, name and config of the run that a model and its evals share. Of a
    bare model that has no stage, the identity is made from its name."""
    model = _model(stage)
    if model is None:
        asked = EvalParams.of(stage).subject.model
        name = f"base-{re.sub(r'[^A-Za-z0-9._-]+', '-', asked)}"
        return name, name, {"setting": stage.setting, "model": asked}
    name = model.name.partition(":")[2].partition("/")[2].replace("/", "-")
    told: dict[str, Any] = {"setting": model.setting, "stage": model.name}
    told["key"] = str(model.key)
    params = model.params
    if isinstance(params, ModelParams):
        about = {"model": params.model, "dataset": params.dataset_name}
        spec = {f"training.{field}": v for field, v in model.preimage["spec"].items()}
        told = {**told, **about, "seed": params.seed, **spec}
    return str(model.key), name, told


def _model(stage: Stage) -> Stage | None:
    """The model that a stage is about: itself, or what an eval asks; None if that is a
    bare model without a stage."""
    if stage.kind in ("model", "base"):
        return stage
    for used in (*stage.upstream, *stage.setup):
        if found := _model(used):
            return found
    return None
