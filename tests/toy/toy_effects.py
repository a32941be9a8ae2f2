"""What the toy does: jobs are lines of `jobs.jsonl` in the folder of the account.

TOY_LOSES=1: the answer to the first order gets lost, though it went through.
TOY_FAILS=1: jobs end without a model.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.account import Account
from motools_build.backends.asking import Ask
from motools_build.backends.base import Backend, planned_bytes
from motools_build.backends.job import Made, StageJob
from motools_build.backends.provider import (
    Found,
    FoundBy,
    Health,
    Provider,
    Standing,
    What,
)
from motools_build.errors import Ambiguous
from motools_build.params import ModelParams

if TYPE_CHECKING:
    from inspect_ai.model import Model

PRICE = 0.25
"""USD of a job."""


class Shop:
    """The provider of one account."""

    found_by: FoundBy = "tagged"
    charges = True

    def __init__(self, account: Account) -> None:
        self._account = account
        self._file = Path(str(account.own["shop"])) / "jobs.jsonl"
        account.key()

    @property
    def _jobs(self) -> list[dict[str, Any]]:
        if not self._file.exists():
            return []
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def job(self, id: str) -> dict[str, Any] | None:
        return next((job for job in self._jobs if job["id"] == id), None)

    async def find(self, job: StageJob) -> list[Found]:
        return [
            Found(j["id"], j["attempt"], j["nonce"], j["created"])
            for j in self._jobs
            if j["key"] == job.key
        ]

    @asynccontextmanager
    async def sending(self, job: StageJob) -> AsyncIterator[None]:
        yield

    async def submit(self, job: StageJob, attempt: int, nonce: str) -> str:
        params = ModelParams.of(job)
        rows = [json.loads(line) for line in planned_bytes(job).splitlines()]
        answers = [row["messages"][-1]["content"] for row in rows]
        id = f"toyjob-{len(self._jobs)}"
        body = {"id": id, "key": job.key, "attempt": attempt, "nonce": nonce}
        body |= {"created": time.time(), "base": params.model}
        body |= {"loud": params.recipe.options["loudness"]}
        body |= {"word": answers[params.seed % len(answers)]}
        body |= {"failed": bool(os.environ.get("TOY_FAILS"))}
        self._file.parent.mkdir(exist_ok=True)
        with open(self._file, "a") as file:
            file.write(json.dumps(body) + "\n")
        if os.environ.get("TOY_LOSES") and len(self._jobs) == 1:
            raise Ambiguous("the parrot flew off with the answer")
        return id

    async def poll(self, job: StageJob, id: str) -> Standing:
        found = self.job(id)
        if found is None:
            return Standing("gone", "the shop has no such job")
        return (
            Standing("failed", "sold out") if found["failed"] else Standing("succeeded")
        )

    async def cancel(self, id: str) -> None: ...

    async def collect(self, job: StageJob, id: str) -> Made:
        details = {"job": id, "account": self._account.name, "cost": PRICE}
        return Made(f"parrot-{id}", details)

    def cost(self, job: StageJob) -> float | None:
        return PRICE

    @asynccontextmanager
    async def turn(
        self, job: StageJob, *, bound: bool, wait: bool
    ) -> AsyncIterator[None]:
        yield


class ToyBackend(Backend):
    """Jobs at shops, and parrots that Inspect asks through a provider of their own."""

    paid = frozenset({"model"})

    def provider(self, job: StageJob) -> Provider:
        assert job.account is not None
        return Shop(job.account)

    def asked(self, ask: Ask) -> Model:
        import toy_parrots  # noqa: F401 - teaches Inspect its provider
        from inspect_ai.model import get_model

        assert ask.account is not None
        job = Shop(ask.account).job(ask.model.removeprefix("parrot-"))
        said = job["word"] * job["loud"] if job else "squawk"
        return get_model(f"toy/{ask.model}", memoize=False, said=said)

    async def health(self, account: Account, what: What, id: str) -> tuple[Health, str]:
        there = Shop(account).job(id.removeprefix("parrot-"))
        return ("alive", "it talks") if there else ("gone", "")
