"""The second step of making a stage: have its job done.

Paid jobs are done by a provider, through `pay_once`. Heavy jobs are done by a cluster,
or by a worker process, with several evals in one call of Inspect. All others run in the
host's event loop.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from motools_build.backends.job import Made, Progress, StageJob
from motools_build.running.runtime import Runtime
from motools_build.running.workers import Order
from motools_build.stages import Stage


async def perform(stage: Stage, job: StageJob, runtime: Runtime) -> Made:
    """The job's result, with its wall time in seconds. Its files are in the job's work
    folder.

    Raises StageFailed or another MotoolsError, with the remedy.
    """
    began = time.monotonic()
    made = await _done(stage, job, runtime)
    seconds = made.seconds or time.monotonic() - began
    details = {**made.details, **await _noted(stage, made, runtime)}
    return replace(made, seconds=seconds, details=details)


async def _done(stage: Stage, job: StageJob, runtime: Runtime) -> Made:
    """The job's result, from the provider, a worker or the event loop."""

    def report(progress: Progress) -> None:
        runtime.report(stage, progress)

    backend, store = runtime.backend(stage.backend), runtime.store
    if stage.kind in backend.paid:
        return await runtime.payments.make(job, backend.provider(job), report)
    if stage.kind not in backend.in_worker:
        return await backend.make(job, report)
    log = store.root / "logs" / f"{stage.key}.log"
    if runtime.cluster and runtime.cluster.takes(job):
        return await runtime.cluster.run(job, log, report)
    together = backend.together(job)
    if together is None:
        return await runtime.pool.run(job, log, report)
    order = Order(job, log, report)
    return await runtime.batches.run(order, together, store.root / "work")


async def _noted(stage: Stage, made: Made, runtime: Runtime) -> dict[str, Any]:
    """Details for the record besides the backend's own: the cost of the answers in USD,
    and the parts of the task that changed although the keys say that the work is the
    same (see `Alike.undeclared`)."""
    noted: dict[str, Any] = {}
    if "usage" in made.details:
        noted["cost"] = runtime.prices.usage(made.details["usage"])
    if stage.backend == "inspect":
        undeclared = await asyncio.to_thread(
            runtime.alike.undeclared, stage, made.details
        )
        if undeclared:
            noted["undeclared"] = undeclared
    return noted
