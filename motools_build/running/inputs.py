"""The first step of making a stage: check its inputs, and collect them in a job.

There are three kinds of inputs. A source file must still have its planned bytes. An
artifact's payload must be undamaged. A file that was uploaded to a provider must still
exist there; if not, it is uploaded again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Container
from dataclasses import replace

from motools_build.account import Account
from motools_build.backends.job import Given, StageJob
from motools_build.errors import ArtifactError
from motools_build.keys import Digest, DigestMemo
from motools_build.params import AskParams, BaseParams, EvalParams, ModelParams
from motools_build.running import LOGGER
from motools_build.running.effects import paid_of
from motools_build.running.keeping import keep_files
from motools_build.running.learned import check_sampled, job_of
from motools_build.running.runtime import Runtime
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.task_code.shipped import place_of

SMALL = 1 << 20
"""Largest size in bytes of inputs that are read in the event loop. Larger ones would
block other stages, so a thread reads them. With a thread for smaller ones, too, the
stage would queue behind others that wait for the disk."""

WITH_CODE = ("inspect", "command")
"""Backends that run the project's own code, whose jobs know their files."""

Remake = Callable[[Stage], Awaitable[bool]]
"""Function that makes a stage again even if it is up to date: `run_stage`, passed in
because it calls this module."""


async def inputs(stage: Stage, runtime: Runtime, remake: Remake) -> StageJob:
    """The job that makes the stage, with all inputs and an empty work folder.

    Raises ArtifactError for a file or artifact that is missing, damaged or not what was
    planned, or that cannot be kept, and StageFailed for rows of a teacher that the
    model cannot be trained on.
    """
    store = runtime.store
    if stage.sampled or _bytes_of_inputs(stage, store) > SMALL:
        files = await asyncio.to_thread(_check, stage, runtime)
    else:
        files = _check(stage, runtime)
    await keep_files(stage, files, runtime)
    if stage.kind in runtime.backend(stage.backend).paid:
        await _send_again_what_is_gone(stage, runtime, remake)
    job = _by_its_owner(
        _job(stage, store, str(store.work_folder(stage))), runtime.account_of
    )
    return replace(job, files=files) if stage.backend in WITH_CODE else job


def check_files(
    stage: Stage, memo: DigestMemo, read_once: Container[str] = ()
) -> dict[str, Digest]:
    """Name -> digest of the stage's files, but for those that were `read_once`. Raises
    ArtifactError if one of them was edited since it was planned."""
    planned = set(stage.preimage["inputs"].values())
    names = (name for name in stage.files if name not in read_once)
    found = {name: memo.present(place_of(name)) for name in names}
    for name, digest in found.items():
        # compare per file as well: two files of a stage may have been swapped
        if digest not in planned or digest != memo.digest(place_of(name)):
            raise ArtifactError(
                f"{name} was edited after this run was planned; nothing was recorded "
                "of it: run again"
            )
    return found


def outputs_of(stage: Stage, store: ArtifactStore) -> dict[str, str]:
    """Key -> present output of each upstream stage; empty if it has no artifact."""
    records = {used.key: store.get(used) for used in stage.upstream}
    return {key: record.output if record else "" for key, record in records.items()}


def _check(stage: Stage, runtime: Runtime) -> dict[str, Digest]:
    """Name -> digest of the stage's files, which are checked together with the
    artifacts that the stage uses. Raises ArtifactError if one is not what was planned,
    and StageFailed as `check_sampled` does."""
    store = runtime.store
    used = stage.setup + stage.upstream
    for one in used:
        if one.kind == "dataset":
            store.check_payload(one)  # first: damage must not be reported as an edit
    files = check_files(stage, runtime.memo)
    for one in used:
        if one.kind != "dataset":
            store.check_payload(one)
    check_sampled(stage, store)
    return files


def _bytes_of_inputs(stage: Stage, store: ArtifactStore) -> int:
    records = [store.get(used) for used in stage.setup + stage.upstream]
    payloads = sum(record.size for record in records if record)
    return payloads + sum(os.stat(place_of(name)).st_size for name in stage.files)


def _job(stage: Stage, store: ArtifactStore, work: str) -> StageJob:
    used = stage.setup + stage.upstream
    given = {_role(one, stage): _given(one, store) for one in used}
    return replace(job_of(stage, store, work), given=given)


def _role(used: Stage, stage: Stage) -> str:
    """The role of a used stage in the job, as in `StageJob.given`."""
    if used.kind == "samples":
        return f"samples:{EvalParams.of(used).task.first_epoch}"
    params, of = stage.params, used.params
    if isinstance(params, ModelParams) and used.key == params.validation:
        return "validation"
    if isinstance(params, AskParams) and isinstance(of, BaseParams):
        return "base" if of.model == params.subject.asked else f"base:{of.model}"
    return used.kind


def _given(used: Stage, store: ArtifactStore) -> Given:
    record = store.get(used)
    if record is None:
        raise ArtifactError(f"{used.name} is missing; run again to make it anew")
    models = (one.key for one in (used, *used.upstream) if one.kind == "model")
    path = str(store.materialise(used))
    return Given(record.output, path, record.details, next(models, ""))


def _by_its_owner(job: StageJob, account_of: Callable[[str], Account]) -> StageJob:
    """The job, with its account replaced by the one that owns the fine-tuned model,
    since no other account may query the model."""
    model = job.given.get("model") if job.backend == "inspect" else None
    owner = model.details.get("account") if model else None
    if owner is None or (job.account and owner == job.account.name):
        return job
    return replace(job, account=account_of(owner))


async def _send_again_what_is_gone(
    stage: Stage, runtime: Runtime, remake: Remake
) -> None:
    """Upload the stage's files again if the provider no longer has them: files expire
    or are deleted there. A job that was submitted already no longer needs them."""
    store = runtime.store
    told = paid_of(store.ledger.of(stage.key))
    if told and told.id:
        return
    for used in stage.setup:
        if used.kind == "upload":
            if used.key not in runtime.looked_at:
                task = asyncio.create_task(_look_at_upload(used, runtime, remake))
                runtime.looked_at[used.key] = task
            await asyncio.shield(runtime.looked_at[used.key])


async def _look_at_upload(stage: Stage, runtime: Runtime, remake: Remake) -> None:
    """Ask the provider for an uploaded file, and upload it again if it is gone."""
    store = runtime.store
    job = _job(stage, store, str(store.unfinished(stage)))
    provider = runtime.backend(stage.backend).provider(job)
    file = _given(stage, store).output
    if not await runtime.payments.is_there(job, provider, file):
        LOGGER.info("gone %s: %s is sent again", stage.name, file)
        await remake(stage)
