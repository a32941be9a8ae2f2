"""Making one stage: inputs -> backend -> put -> check."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import platform
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from motools_build.account import Account
from motools_build.backends import registry
from motools_build.backends.base import Backend, Given, Job, Made, Progress
from motools_build.backends.prices import Prices
from motools_build.errors import (
    ArtifactError,
    Deferred,
    GivenUp,
    MotoolsError,
    StageFailed,
)
from motools_build.keys import Digest, DigestMemo
from motools_build.params import EvalParams, ModelParams
from motools_build.running.alike import Alike
from motools_build.running.batches import Batches
from motools_build.running.charging import charged
from motools_build.running.effects import paid_of
from motools_build.running.learned import check_sampled, job_of
from motools_build.running.pay_once import PayOnce
from motools_build.running.workers import Order, WorkerPool
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.runs import now
from motools_build.task_code.shipped import place_of

LOGGER = logging.getLogger("motools_build")

LOCK_POLL = 0.2
"""Seconds between looks at a stage that another process is making."""

SMALL = 1 << 20
"""Bytes that are read in the event loop. More would hold up other stages; for less, a
stage would wait for a thread behind others that wait for the disk."""

RECORDED = ("motools_build", "inspect_ai", "numpy", "tiktoken")
"""Distributions whose version a record holds; never part of a key."""


@dataclass(frozen=True)
class Runtime:
    """What `run_stage` works with; one a run."""

    store: ArtifactStore
    memo: DigestMemo
    pool: WorkerPool
    report: Callable[[Stage, Progress], None]
    payments: PayOnce
    account_of: Callable[[str], Account]
    """By name; a model is asked with the account that owns it."""
    always: bool = False
    """Make the stage even if it is up to date."""
    prices: Prices = field(default_factory=Prices)
    looked_at: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """By key: uploads whose file was looked for at the provider, once a run."""
    _backends: dict[str, Backend] = field(default_factory=dict)

    def backend(self, name: str) -> Backend:
        """One of each a run: a client for each account, shared by all its jobs."""
        if name not in self._backends:
            self._backends[name] = registry.get(name, self.prices)
        return self._backends[name]

    @cached_property
    def alike(self) -> Alike:
        return Alike(self.store)

    @cached_property
    def batches(self) -> Batches:
        return Batches(self.pool)

    async def close(self) -> None:
        """End workers, and the connections to providers."""
        await self.batches.close()
        await self.pool.close()
        for backend in self._backends.values():
            await backend.close()


async def run_stage(stage: Stage, runtime: Runtime) -> bool:
    """Make the stage's artifact; False if another process made it meanwhile.

    Raises MotoolsError, and remembers it in the stage's state; Deferred if it was left
    to a later run.
    """
    store = runtime.store
    async with _locked(stage, runtime):
        store.forget(stage)
        if not runtime.always and store.why_stale(stage) is None:
            LOGGER.info("taken %s %s: another run made it", stage.name, stage.key)
            return False
        try:
            async with charged(
                stage, store, runtime.payments, runtime.prices, runtime.alike
            ):
                await _make(stage, runtime)
        except Deferred as deferred:
            LOGGER.info("deferred %s %s: %s", stage.name, stage.key, deferred)
            raise
        except GivenUp as error:  # of the account, not of the stage
            LOGGER.info("given up %s %s: %s", stage.name, stage.key, error)
            raise
        except MotoolsError as error:
            _remember(stage, runtime, error)
            raise
        except OSError as error:  # a full disk, a folder that may not be written
            failure = StageFailed(f"the system refused: {error}")
            _remember(stage, runtime, failure)
            raise failure from error
        except Exception as error:
            _remember(stage, runtime, error)
            raise
    LOGGER.info("made %s %s", stage.name, stage.key)
    problem = runtime.store.why_stale(stage)
    if problem:
        raise ArtifactError(f"{stage.name} was made, but {problem}; run again")
    return True


async def _make(stage: Stage, runtime: Runtime) -> None:
    store = runtime.store
    backend = runtime.backend(stage.backend)
    if stage.sampled or _bytes_of_inputs(stage, store) > SMALL:
        files = await asyncio.to_thread(_check_inputs, stage, runtime)
    else:
        files = _check_inputs(stage, runtime)
    if stage.kind in backend.paid:
        await _send_again_what_is_gone(stage, runtime)
    work = store.work_folder(stage)
    job = _by_its_owner(_job(stage, store, str(work)), runtime.account_of)
    if stage.backend == "inspect":
        job = replace(job, files=files)

    def report(progress: Progress) -> None:
        runtime.report(stage, progress)

    began = time.monotonic()
    if stage.kind in backend.paid:
        made = await runtime.payments.make(job, backend.provider(job), report)
    elif stage.kind in backend.in_worker:
        log = store.root / "logs" / f"{stage.key}.log"
        together = backend.together(job)
        if together is None:
            made = await runtime.pool.run(job, log, report)
        else:
            order = Order(job, log, report)
            made = await runtime.batches.run(order, together, store.root / "work")
    else:
        made = await backend.make(job, report)
    seconds = made.seconds or time.monotonic() - began
    if "usage" in made.details:
        cost = runtime.prices.usage(made.details["usage"])
        made = replace(made, details={**made.details, "cost": cost})
    if stage.backend == "inspect":
        undeclared = await asyncio.to_thread(
            runtime.alike.undeclared, stage, made.details
        )
        if undeclared:
            made = replace(made, details={**made.details, "undeclared": undeclared})
    made_in = round(seconds, 2)
    await asyncio.to_thread(_put, stage, runtime, work, made, made_in)
    record = store.get(stage)
    if record and stage.backend == "inspect":
        runtime.alike.add(record)


def _job(stage: Stage, store: ArtifactStore, work: str) -> Job:
    used = stage.setup + stage.upstream
    given = {_role(one, stage): _given(one, store) for one in used}
    return replace(job_of(stage, store, work), given=given)


def _role(used: Stage, stage: Stage) -> str:
    if used.kind == "samples":
        return f"samples:{EvalParams.of(used).task.first_epoch}"
    params = stage.params
    if isinstance(params, ModelParams) and used.key == params.validation:
        return "validation"
    return used.kind


def _by_its_owner(job: Job, account_of: Callable[[str], Account]) -> Job:
    """A model that another account made: only that one may ask it."""
    model = job.given.get("model") if job.backend == "inspect" else None
    owner = model.details.get("account") if model else None
    if owner is None or (job.account and owner == job.account.name):
        return job
    return replace(job, account=account_of(owner))


async def _send_again_what_is_gone(stage: Stage, runtime: Runtime) -> None:
    """A job that is about to be submitted needs its files; a file expires, or is
    deleted, while its record stays. A job that exists needs them no more."""
    store = runtime.store
    told = paid_of(store.ledger.of(stage.key))
    if told and told.id:
        return
    for used in stage.setup:
        if used.kind == "upload":
            if used.key not in runtime.looked_at:
                task = asyncio.create_task(_look_at_upload(used, runtime))
                runtime.looked_at[used.key] = task
            await asyncio.shield(runtime.looked_at[used.key])


async def _look_at_upload(stage: Stage, runtime: Runtime) -> None:
    store = runtime.store
    job = _job(stage, store, str(store.unfinished(stage)))
    provider = runtime.backend(stage.backend).provider(job)
    file = _given(stage, store).output
    if not await runtime.payments.is_there(job, provider, file):
        LOGGER.info("gone %s: %s is sent again", stage.name, file)
        await run_stage(stage, replace(runtime, always=True))


def _put(
    stage: Stage, runtime: Runtime, work: Path, made: Made, seconds: float
) -> None:
    # an edit during the work must not be recorded as built
    _check_files(stage, runtime.memo)
    store = runtime.store
    store.put(
        stage,
        work,
        output=made.output,
        details=made.details,
        inputs=outputs_of(stage, store),
        made={"time": now(), "seconds": seconds, "versions": versions()},
    )


def outputs_of(stage: Stage, store: ArtifactStore) -> dict[str, str]:
    """By key: the present output of each stage that this one is made from."""
    records = {used.key: store.get(used) for used in stage.upstream}
    return {key: record.output if record else "" for key, record in records.items()}


def _bytes_of_inputs(stage: Stage, store: ArtifactStore) -> int:
    records = [store.get(used) for used in stage.setup + stage.upstream]
    payloads = sum(record.size for record in records if record)
    return payloads + sum(os.stat(place_of(name)).st_size for name in stage.files)


def _check_inputs(stage: Stage, runtime: Runtime) -> dict[str, Digest]:
    """The digest of each of the stage's files. Raises ArtifactError if one of them, or
    an artifact that is used, is not what was planned."""
    store = runtime.store
    inputs = stage.setup + stage.upstream
    for used in inputs:
        if used.kind == "dataset":
            store.check_payload(used)  # its damage is no edit of the stage's files
    files = _check_files(stage, runtime.memo)
    for used in inputs:
        if used.kind != "dataset":
            store.check_payload(used)
    check_sampled(stage, store)
    return files


def _check_files(stage: Stage, memo: DigestMemo) -> dict[str, Digest]:
    planned = set(stage.preimage["inputs"].values())
    found = {name: memo.present(place_of(name)) for name in stage.files}
    for name, digest in found.items():
        # the one that the plan saw: two files of a stage may have changed places
        if digest not in planned or digest != memo.digest(place_of(name)):
            raise ArtifactError(
                f"{name} was edited after this run was planned; nothing was recorded "
                "of it: run again"
            )
    return found


def _given(used: Stage, store: ArtifactStore) -> Given:
    record = store.get(used)
    if record is None:
        raise ArtifactError(f"{used.name} is missing; run again to make it anew")
    return Given(record.output, str(store.materialise(used)), record.details)


def _remember(stage: Stage, runtime: Runtime, error: Exception) -> None:
    LOGGER.info("failed %s %s: %s", stage.name, stage.key, error)
    try:
        runtime.store.states.record_failure(
            stage.key, stage.name, error, getattr(error, "log", None)
        )
    except OSError as second:
        error.add_note(f"(and it could not be remembered: {second})")


@functools.cache
def versions() -> dict[str, str]:
    """The versions that a record notes, as they are installed now."""
    from importlib.metadata import version

    python = {"python": platform.python_version()}
    return python | {name: version(name) for name in RECORDED}


@asynccontextmanager
async def _locked(stage: Stage, runtime: Runtime) -> AsyncIterator[None]:
    """The stage's lock among all processes. Whoever waited for it looks at the store
    again, and finds what was made."""
    locks = runtime.store.locks
    while not locks.take(stage.key):
        runtime.report(stage, Progress(0, 1, "", "another process is making it"))
        await asyncio.sleep(LOCK_POLL)
    try:
        yield
    finally:
        locks.drop(stage.key)
