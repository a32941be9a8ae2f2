"""Making one stage in three steps: `inputs`, `perform`, `keep`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from motools_build.backends.job import Made, Progress, StageJob
from motools_build.errors import ArtifactError, Deferred, GivenUp, StageFailed
from motools_build.params import ModelParams, RowsParams
from motools_build.running import LOGGER
from motools_build.running.charging import charged
from motools_build.running.inputs import Remake, check_files, inputs, outputs_of
from motools_build.running.keeping import keeps
from motools_build.running.perform import perform
from motools_build.running.runtime import Runtime
from motools_build.running.versions import versions
from motools_build.stages import Stage
from motools_build.store.runs import now

NOT_KEPT = {"snapshots": False}
"""What `made` of a record says if the bytes of the stage's files were not kept."""

POLL = 0.2
"""Seconds between attempts to take a stage's lock that another process holds. Many
stages may wait at once."""

HANDOVER = 5.0
"""Seconds for which also a run that does not wait for jobs waits for a stage's lock:
another process may be about to have it made, or only be looking."""


async def run_stage(stage: Stage, runtime: Runtime) -> bool:
    """Make the stage's artifact. Returns False if another process made it meanwhile.

    Raises MotoolsError, which is also recorded in the stage's state; Deferred if the
    stage was left to a later run; ArtifactError, which is not recorded, if a person
    accepted another key's artifact as the stage's, and that stands.
    """
    store = runtime.store
    async with _locked(stage, runtime):
        store.forget(stage)
        if not runtime.always and store.why_stale(stage) is None:
            LOGGER.info("taken %s %s: another run made it", stage.name, stage.key)
            return False
        store.accepted.check(stage.name, stage.key)
        runtime.revisions.ask()
        with _remembered(stage, runtime):
            async with charged(
                stage,
                store,
                runtime.payments.reservations,
                runtime.prices,
                runtime.alike,
            ):
                job = await inputs(stage, runtime, _remake(runtime))
                made = await perform(stage, job, runtime)
                await keep(stage, job, made, runtime)
    LOGGER.info("made %s %s", stage.name, stage.key)
    problem = store.why_stale(stage)
    if problem:
        raise ArtifactError(f"{stage.name} was made, but {problem}; run again")
    return True


async def keep(stage: Stage, job: StageJob, made: Made, runtime: Runtime) -> None:
    """Put a job's result into the store: the files in its work folder, and a record.
    Raises ArtifactError if a file of the stage was edited during the work, since then
    the result may not belong to the key; StageFailed for an output that is no text.

    An edit of a dataset during a training or an upload is no harm: its rows are read
    once, and compared with the planned ones (`planned_bytes`)."""
    if not isinstance(made.output, str) or not made.output:
        raise StageFailed(
            f"the backend {stage.backend} said that its output is {made.output!r}, "
            "which is to be a text that identifies it; nothing was kept: mend the "
            "backend, and run again"
        )
    at = await runtime.revisions.found()
    if runtime.sharing:
        runtime.sharing.begin(stage)
    await asyncio.to_thread(_put, stage, job, made, runtime, at)
    if runtime.sharing:  # under the stage's lock: nothing may use other weights
        await asyncio.to_thread(runtime.sharing.end, stage, takes=not runtime.always)
    record = runtime.store.get(stage)
    if record and stage.backend == "inspect":
        runtime.alike.add(record)


def _put(
    stage: Stage, job: StageJob, made: Made, runtime: Runtime, at: Mapping[str, Any]
) -> None:
    check_files(stage, runtime.memo, read_once=_rows_of(stage))
    runtime.store.put(
        stage,
        Path(made.folder or job.work),
        output=made.output,
        details=made.details,
        inputs=outputs_of(stage, runtime.store),
        made={
            "time": now(),
            "seconds": round(made.seconds or 0.0, 2),
            "versions": versions(),
            **({"executor": dict(made.executor)} if made.executor else {}),
            **at,
            **({} if runtime.snapshots or not keeps(stage, runtime) else NOT_KEPT),
        },
    )
    if made.folder:  # after the record: until then, the job's folder has the result
        runtime.store.jobs.forget(stage.key)


def _rows_of(stage: Stage) -> set[str]:
    """The names of the files with the rows of an upload or a training."""
    params = stage.params
    rows = {params.rows_path} if isinstance(params, RowsParams) else set()
    return rows | ({params.held_out_path} if isinstance(params, ModelParams) else set())


def _remake(runtime: Runtime) -> Remake:
    """A function that makes an upload again whose file is gone from the provider."""

    async def again(stage: Stage) -> bool:
        return await run_stage(stage, replace(runtime, always=True))

    return again


@contextmanager
def _remembered(stage: Stage, runtime: Runtime) -> Iterator[None]:
    """Context of the work on a stage: a failure is logged, and recorded in the stage's
    state. A Deferred or GivenUp is only logged."""
    try:
        yield
    except Deferred as deferred:
        LOGGER.info("deferred %s %s: %s", stage.name, stage.key, deferred)
        raise
    except GivenUp as error:  # a failure of the account's server, not of the stage
        LOGGER.info("given up %s %s: %s", stage.name, stage.key, error)
        raise
    except OSError as error:  # a full disk, or a folder without write permission
        failure = StageFailed(f"the system refused: {error}")
        _remember(stage, runtime, failure)
        raise failure from error
    except Exception as error:
        _remember(stage, runtime, error)
        raise


def _remember(stage: Stage, runtime: Runtime, error: Exception) -> None:
    LOGGER.info("failed %s %s: %s", stage.name, stage.key, error)
    try:
        runtime.store.states.record_failure(
            stage.key, stage.name, error, getattr(error, "log", None)
        )
    except OSError as second:
        error.add_note(f"(and it could not be remembered: {second})")


@asynccontextmanager
async def _locked(stage: Stage, runtime: Runtime) -> AsyncIterator[None]:
    """Hold the stage's lock, which excludes all other processes. After waiting for it,
    the store must be read again, since the other process may have made the artifact.
    Raises Deferred if the run does not wait for others."""
    locks, began = runtime.store.locks, time.monotonic()
    while not locks.take(stage.key):
        if not runtime.waits and time.monotonic() - began >= HANDOVER:
            told = "another process is making it; run again"
            raise Deferred(told, under_way=True)
        runtime.report(stage, Progress(0, 1, "", "another process is making it"))
        await asyncio.sleep(POLL)
    try:
        yield
    finally:
        locks.drop(stage.key)
