"""The backend for the OpenAI fine-tuning API, and for servers that speak it."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from motools_build.account import Account
from motools_build.backends.asking import Ask
from motools_build.backends.base import Backend
from motools_build.backends.job import StageJob
from motools_build.backends.openai.asked import asked_by
from motools_build.backends.openai.desk import Desk
from motools_build.backends.openai.files import Files
from motools_build.backends.openai.fine_tuning import Jobs
from motools_build.backends.openai.health import health, shutdowns
from motools_build.backends.openai.watch import Watch
from motools_build.backends.prices import Prices
from motools_build.backends.provider import Health, Provider, What

if TYPE_CHECKING:
    from inspect_ai.model import Model


class OpenAIBackend(Backend):
    """Makes uploads and fine-tuned models, with one client for each account."""

    paid = frozenset({"upload", "model"})

    def __init__(self, prices: Prices | None = None) -> None:
        super().__init__(prices)
        self._desks: dict[str, tuple[Desk, Watch]] = {}

    def provider(self, job: StageJob) -> Provider:
        assert job.account is not None, job.name  # every stage at a provider has one
        desk, watch = self.desk(job.account)
        return Files(desk) if job.kind == "upload" else Jobs(desk, watch, self.prices)

    def desk(self, account: Account) -> tuple[Desk, Watch]:
        """The account's desk (its client and limits) and its watch over jobs, made on
        first use. Raises AccountError if the account has no key."""
        if account.name not in self._desks:
            desk = Desk(account)
            self._desks[account.name] = desk, Watch(desk)
        return self._desks[account.name]

    def prepare(self, job: StageJob) -> None:
        # every request of an eval needs this module: import it before the eval's child
        # process is forked
        with suppress(ImportError):  # another version of Inspect may lack it
            import_module("inspect_ai.model._providers.openai")

    def asked(self, ask: Ask) -> Model:
        assert ask.account is not None
        return asked_by(ask.account, ask.model)

    async def health(self, account: Account, what: What, id: str) -> tuple[Health, str]:
        return await health(self.desk(account)[0], what, id)

    async def shutdowns(self, account: Account) -> dict[str, str]:
        return await shutdowns(self.desk(account)[0])

    async def close(self) -> None:
        for desk, _ in self._desks.values():
            await desk.close()
