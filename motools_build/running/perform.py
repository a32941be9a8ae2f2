"""The second step of making a stage: its job is done, by whoever does such jobs.

A provider does what is paid for, under pay-once; a worker process does what is heavy,
several evals at once where they share a call; the host's event loop does the rest.
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
    """What the job made, the files in its work folder aside, with its wall time.

    Raises StageFailed, or what else happened, with the remedy.
    """
    began = time.monotonic()
    made = await _done(stage, job, runtime)
    seconds = made.seconds or time.monotonic() - began
    details = {**made.details, **await _noted(stage, made, runtime)}
    return replace(made, seconds=seconds, details=details)


async def _done(stage: Stage, job: StageJob, runtime: Runtime) -> Made:
    def report(progress: Progress) -> None:
        runtime.report(stage, progress)

    backend, store = runtime.backend(stage.backend), runtime.store
    if stage.kind in backend.paid:
        return await runtime.payments.make(job, backend.provider(job), report)
    if stage.kind not in backend.in_worker:
        return await backend.make(job, report)
    log = store.root / "logs" / f"{stage.key}.log"
    together = backend.together(job)
    if together is None:
        return await runtime.pool.run(job, log, report)
    order = Order(job, log, report)
    return await runtime.batches.run(order, together, store.root / "work")


async def _noted(stage: Stage, made: Made, runtime: Runtime) -> dict[str, Any]:
    """What the core adds to the backend's details: what the answers cost, and parts of
    the task that differ from those of the same work though nothing in the keys does."""
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
