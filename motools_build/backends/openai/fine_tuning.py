"""Fine-tuning jobs: recognised by their metadata, and polled many at a time."""

from __future__ import annotations

import asyncio
import functools
import math
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.backends.base import CHECKPOINTS
from motools_build.backends.job import Made, Progress, StageJob
from motools_build.backends.openai.desk import Desk
from motools_build.backends.openai.facts import BACKEND
from motools_build.backends.openai.files import is_gone
from motools_build.backends.openai.results import checkpoints_of, curve_of, write
from motools_build.backends.openai.watch import TAG, Seen, Watch
from motools_build.backends.prices import Prices
from motools_build.backends.provider import BY_HAND, Found, FoundBy, Standing, Status
from motools_build.errors import MotoolsError, Refused
from motools_build.params import ModelParams

if TYPE_CHECKING:
    from motools_build.data.tokens import Tokens

KEY, ATTEMPT, NONCE = "motools_key", "motools_attempt", "motools_nonce"
STAGE = "motools_stage"
ROWS = "motools_rows"
"""Metadata field of a job whose rows a teacher wrote: the digest of the rows, which the
job's key leaves out."""

SUFFIX = 64
"""Largest number of characters that the API allows in a model's suffix."""

FOLLOWED = 8
"""With at most this many jobs in flight, each job's events are asked for."""


class Jobs:
    """The provider of fine-tuned models."""

    found_by: FoundBy = "tagged"
    charges = True

    def __init__(self, desk: Desk, watch: Watch, prices: Prices) -> None:
        self._desk = desk
        self._watch = watch
        self._prices = prices

    async def find(self, job: StageJob) -> list[Found]:
        jobs = await self._watch.everything.answer()
        ours = job.key, job.made_of
        return [
            self._found(seen)
            for seen in jobs
            if (seen.metadata.get(KEY), seen.metadata.get(ROWS, "")) == ours
        ]

    def _found(self, job: Seen) -> Found:
        """A job of the wanted key as the core needs it. Raises Refused if its creation
        time or attempt number cannot be read."""
        number = str(job.metadata.get(ATTEMPT, "1"))
        if math.isnan(job.created) or not number.isascii() or not number.isdigit():
            raise self._desk.odd(
                f"{job.id} carries this stage's key, and its created_at "
                f"({job.raw.get('created_at')!r}) or its {ATTEMPT} ({number!r}) "
                "cannot be read"
            )
        nonce = str(job.metadata.get(NONCE, ""))
        over = job.status in ("failed", "cancelled")
        return Found(job.id, int(number), nonce, job.created, over)

    async def submit(self, job: StageJob, attempt: int, nonce: str) -> str:
        request = request_of(job, attempt, nonce)
        return await self._desk.send_json(
            lambda client: client.fine_tuning.jobs.with_raw_response.create(**request)
        )

    def sending(self, job: StageJob) -> AbstractAsyncContextManager[None]:
        return self._desk.window()

    async def poll(self, job: StageJob, id: str) -> Standing:
        if id.startswith(BY_HAND):
            return await self._model(id.removeprefix(BY_HAND))
        found = await self._watch.job(id)
        if found is None:
            return Standing("gone", "the provider knows no job of that ID")
        if not found.status:
            status = found.raw.get("status")
            raise self._desk.odd(f"{id} has a status that is no word ({status!r})")
        if found.status == "succeeded":
            return Standing("succeeded")
        if found.status in ("failed", "cancelled"):
            words = _words(found.raw.get("error"))
            ended: Status = "failed" if found.status == "failed" else "cancelled"
            return Standing(ended, ": ".join(words))
        # an unknown status counts as running
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

    async def collect(self, job: StageJob, id: str) -> Made:
        if id.startswith(BY_HAND):
            (Path(job.work) / CHECKPOINTS).write_text("[]")
            account = self._desk.account.name
            details = {"account": account, "by_hand": True, "cost": None}
            return Made(id.removeprefix(BY_HAND), details)
        found = await self._watch.ended(id)
        model = found.get("fine_tuned_model")
        if not model or not isinstance(model, str):
            raise Refused(
                f"{id} succeeded, but names no model; look at it in the provider's "
                "own pages"
            )
        work = Path(job.work)
        checkpoints = await checkpoints_of(self._desk, id)
        curve = await curve_of(self._desk, found.get("result_files"))
        await asyncio.to_thread(write, work, found, checkpoints, curve)
        self._watch.forget(id)
        base, tokens = found.get("model"), found.get("trained_tokens")
        if not isinstance(base, str):
            base = base_of(job)
        if not isinstance(tokens, int) or isinstance(tokens, bool):
            tokens = None
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

    def cost(self, job: StageJob) -> float | None:
        return self._prices.training(base_of(job), estimated_tokens(job))

    def turn(
        self, job: StageJob, *, bound: bool, wait: bool
    ) -> AbstractAsyncContextManager[None]:
        return self._desk.slot(bound=bound, wait=wait)

    async def _progress(self, job: Seen) -> Progress:
        """The job's last event; only its status while more than FOLLOWED jobs are in
        flight."""
        note = f"{job.id} {job.status}"
        if self._watch.size > FOLLOWED or job.status != "running":
            return Progress(0, 1, "", note)
        try:
            events = await self._desk.ask(
                lambda client: client.fine_tuning.jobs.list_events(job.id, limit=1)
            )
        except MotoolsError:  # the status is known without the event
            return Progress(0, 1, "", note)
        said = str(events.data[0].message) if events.data else ""
        step = re.match(r"Step (\d+)/(\d+)\S*\s*(.*)", said)
        if step:
            return Progress(int(step[1]), int(step[2]), "steps", step[3])
        return Progress(0, 1, "", f"{note}: {said}" if said else note)


def request_of(job: StageJob, attempt: int, nonce: str) -> dict[str, Any]:
    """The body of the request that creates the job, as arguments of the SDK."""
    params = ModelParams.of(job)
    recipe, options = params.recipe, params.recipe.options
    method = "supervised" if recipe.method == "sft" else recipe.method
    hyperparameters = {
        "n_epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "learning_rate_multiplier": options["learning_rate_multiplier"],
        "beta": options["beta"],
    }
    given = {name: v for name, v in hyperparameters.items() if v is not None}
    request = {
        "model": base_of(job),
        "training_file": job.given["upload"].output,
        "seed": params.seed,
        "suffix": options["suffix"] or _suffix(job),
        "method": {"type": method, method: {"hyperparameters": given}},
        "metadata": {
            **TAG,
            KEY: job.key,
            ATTEMPT: str(attempt),
            NONCE: nonce,
            STAGE: job.name[:512],
            **({ROWS: job.made_of} if job.made_of else {}),
        },
    }
    if "validation" in job.given:
        request["validation_file"] = job.given["validation"].output
    return request


def base_of(job: StageJob) -> str:
    """The base model's name without the backend: `gpt-4.1-mini-2025-04-14`."""
    return ModelParams.of(job).model.partition("/")[2]


def estimated_tokens(job: StageJob) -> int:
    """Tokens that the job will be charged for: those of its file, times the epochs."""
    params = ModelParams.of(job)
    recipe, file = params.recipe, (params.rows_path, params.rows_digest)
    tokens = _counted(*file, recipe.method, base_of(job))
    return BACKEND.charged_tokens(tokens, recipe.epochs)


@functools.cache
def _counted(path: str, digest: str, method: str, model: str) -> Tokens:
    """The tokens of a dataset; cached, since each seed would read the file again."""
    return BACKEND.count_tokens(path, method, model)


def _suffix(job: StageJob) -> str:
    params = ModelParams.of(job)
    word = re.sub(r"[^A-Za-z0-9-]+", "-", params.dataset_name).strip("-")
    seed = f"-s{params.seed}"
    return word[: SUFFIX - len(seed)] + seed


def _words(error: Any) -> list[str]:
    """The code and the message of a job's error, as far as the provider gives them."""
    if not isinstance(error, Mapping):
        return [str(error)] if error else []
    return [str(error[field]) for field in ("code", "message") if error.get(field)]
