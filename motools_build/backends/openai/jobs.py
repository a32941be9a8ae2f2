"""Fine-tuning jobs: found again by their metadata, watched many at a time."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.backends.base import (
    BY_HAND,
    CHECKPOINTS,
    Found,
    FoundBy,
    Job,
    Made,
    Progress,
    Standing,
    Status,
)
from motools_build.backends.openai.desk import Desk
from motools_build.backends.openai.files import is_gone, is_missing
from motools_build.backends.openai.watch import TAG, Seen, Watch
from motools_build.errors import Refused
from motools_build.prices import Prices
from motools_build.scrub import scrub
from motools_build.visible import written

if TYPE_CHECKING:
    from motools_build.tokens import Tokens

KEY, ATTEMPT, NONCE = "motools_key", "motools_attempt", "motools_nonce"
STAGE = "motools_stage"
ROWS = "motools_rows"
"""Of a job whose rows a teacher wrote: their digest, which its key leaves out."""

SUFFIX = 64
"""Characters that the API allows."""

CURVE, RAW = "metrics.csv", "job.json"
"""Payload: the training curve, the job as the API shows it."""

FOLLOWED = 8
"""Jobs in flight up to which each one's own events are asked for."""


class Jobs:
    """The provider of fine-tuned models."""

    found_by: FoundBy = "tagged"
    charges = True

    def __init__(self, desk: Desk, watch: Watch, prices: Prices) -> None:
        self._desk = desk
        self._watch = watch
        self._prices = prices

    async def find(self, job: Job) -> list[Found]:
        jobs = await self._watch.everything.answer()
        rows = job.params.get("made_of", "")
        return [
            _found(seen)
            for seen in jobs
            if seen.metadata.get(KEY) == job.key and seen.metadata.get(ROWS, "") == rows
        ]

    async def submit(self, job: Job, attempt: int, nonce: str) -> str:
        request = request_of(job, attempt, nonce)
        return await self._desk.send_json(
            lambda client: client.fine_tuning.jobs.with_raw_response.create(**request)
        )

    def sending(self, job: Job) -> AbstractAsyncContextManager[None]:
        return self._desk.window()

    async def poll(self, job: Job, id: str) -> Standing:
        if id.startswith(BY_HAND):
            return await self._model(id.removeprefix(BY_HAND))
        found = await self._watch.job(id)
        if found is None:
            return Standing("gone", "the provider knows no job of that ID")
        if found.status == "succeeded":
            return Standing("succeeded")
        if found.status in ("failed", "cancelled"):
            error = found.raw.get("error") or {}
            words = [error[field] for field in ("code", "message") if error.get(field)]
            ended: Status = "failed" if found.status == "failed" else "cancelled"
            return Standing(ended, ": ".join(words))
        # a status that is not known yet is one of a job that runs
        return Standing("running", progress=await self._progress(found))

    async def cancel(self, id: str) -> None:
        await self._desk.ask(lambda client: client.fine_tuning.jobs.cancel(id))

    async def _model(self, model: str) -> Standing:
        try:
            await self._desk.ask(lambda client: client.models.retrieve(model))
        except Refused as error:
            if is_gone(error):
                return Standing("gone", f"the provider knows no model {model}")
            raise
        return Standing("succeeded")

    async def collect(self, job: Job, id: str) -> Made:
        if id.startswith(BY_HAND):
            (Path(job.work) / CHECKPOINTS).write_text("[]")
            account = self._desk.account.name
            details = {"account": account, "by_hand": True, "cost": None}
            return Made(id.removeprefix(BY_HAND), details)
        found = await self._watch.ended(id)
        model = found.get("fine_tuned_model")
        if not model:
            raise Refused(
                f"{id} succeeded, but names no model; look at it in the provider's "
                "own pages"
            )
        work = Path(job.work)
        checkpoints = await self._checkpoints(id)
        curve = await self._curve(found.get("result_files") or [])
        await asyncio.to_thread(_write, work, found, checkpoints, curve)
        base, tokens = found["model"], found.get("trained_tokens")
        paid = None if tokens is None else self._prices.training(base, tokens)
        details = {
            "job": id,
            "base": base,
            "account": self._desk.account.name,
            "trained_tokens": tokens,
            "cost": paid,
            "checkpoints": len(checkpoints),
            "curve": curve is not None,
        }
        return Made(model, details)

    def cost(self, job: Job) -> float | None:
        return self._prices.training(base_of(job), estimated_tokens(job))

    def turn(
        self, job: Job, *, bound: bool, wait: bool
    ) -> AbstractAsyncContextManager[None]:
        return self._desk.slot(bound=bound, wait=wait)

    async def _progress(self, job: Seen) -> Progress:
        """The last event, while so few jobs are in flight that each may be asked."""
        note = f"{job.id} {job.status}"
        if self._watch.size > FOLLOWED or job.status != "running":
            return Progress(0, 1, "", note)
        events = await self._desk.ask(
            lambda client: client.fine_tuning.jobs.list_events(job.id, limit=1)
        )
        said = events.data[0].message if events.data else ""
        step = re.match(r"Step (\d+)/(\d+)\S*\s*(.*)", said)
        if step:
            return Progress(int(step[1]), int(step[2]), "steps", step[3])
        return Progress(0, 1, "", f"{note}: {said}" if said else note)

    async def _checkpoints(self, id: str) -> list[dict[str, Any]]:
        """Step, model and metrics of each, the earliest first; none where the server
        does not know the word."""
        try:
            page = await self._desk.ask_json(
                lambda c: c.fine_tuning.jobs.checkpoints.with_raw_response.list(
                    id, limit=100
                )
            )
        except Refused as error:
            if is_missing(error):
                return []
            raise
        try:
            found = [
                {
                    "step": checkpoint["step_number"],
                    "model": checkpoint["fine_tuned_model_checkpoint"],
                    "metrics": checkpoint["metrics"],
                }
                for checkpoint in page["data"]
            ]
        except (KeyError, TypeError) as error:
            raise self._desk.no_answer() from error
        return sorted(found, key=lambda checkpoint: checkpoint["step"])

    async def _curve(self, files: list[str]) -> bytes | None:
        """The training curve as CSV; None if the server has none any more."""
        if not files:
            return None
        try:
            answer = await self._desk.ask(lambda client: client.files.content(files[0]))
        except Refused as error:
            if is_missing(error):
                return None
            raise
        data = answer.content
        if b"," in data.split(b"\n", 1)[0]:
            return data
        return base64.b64decode(data)  # as OpenAI sends it


def request_of(job: Job, attempt: int, nonce: str) -> dict[str, Any]:
    """The one request that makes the job."""
    training, options = job.params["training"], job.params["training"]["openai"]
    method = "supervised" if training["method"] == "sft" else training["method"]
    hyperparameters = {
        "n_epochs": training["epochs"],
        "batch_size": training["batch_size"],
        "learning_rate_multiplier": options["learning_rate_multiplier"],
        "beta": options["beta"],
    }
    given = {name: v for name, v in hyperparameters.items() if v is not None}
    request = {
        "model": base_of(job),
        "training_file": job.given["upload"].output,
        "seed": job.params["seed"],
        "suffix": options["suffix"] or _suffix(job),
        "method": {"type": method, method: {"hyperparameters": given}},
        "metadata": {
            **TAG,
            KEY: job.key,
            ATTEMPT: str(attempt),
            NONCE: nonce,
            STAGE: job.name[:512],
            **({ROWS: job.params["made_of"]} if "made_of" in job.params else {}),
        },
    }
    if "validation" in job.given:
        request["validation_file"] = job.given["validation"].output
    return request


def base_of(job: Job) -> str:
    """`openai/gpt-4.1-mini-2025-04-14` without the backend."""
    return str(job.params["model"]).partition("/")[2]


def estimated_tokens(job: Job) -> int:
    """Tokens that the job will be charged for: those of its file, times epochs."""
    from motools_build.tokens import estimated_training_tokens

    training = job.params["training"]
    tokens = _counted(
        job.params["dataset"], job.params["digest"], training["method"], base_of(job)
    )
    return estimated_training_tokens(tokens, training["epochs"])


@functools.cache
def _counted(path: str, digest: str, method: str, model: str) -> Tokens:
    """Once for all seeds: each would read the dataset again."""
    from motools_build.tokens import count_tokens

    return count_tokens(path, method, model)


def _suffix(job: Job) -> str:
    word = re.sub(r"[^A-Za-z0-9-]+", "-", job.params["name"]).strip("-")
    seed = f"-s{job.params['seed']}"
    return word[: SUFFIX - len(seed)] + seed


def _found(job: Seen) -> Found:
    number = job.metadata.get(ATTEMPT, "1")
    attempt = int(number) if number.isdigit() else 1
    return Found(job.id, attempt, job.metadata.get(NONCE, ""), job.created)


def _write(
    work: Path,
    job: Mapping[str, Any],
    checkpoints: list[dict[str, Any]],
    curve: bytes | None,
) -> None:
    text = scrub(json.dumps(job, indent=1, ensure_ascii=False))
    (work / RAW).write_bytes(written(text))
    (work / CHECKPOINTS).write_text(json.dumps(checkpoints, indent=1))
    if curve is not None:
        (work / CURVE).write_bytes(curve)
