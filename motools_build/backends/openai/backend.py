"""The OpenAI fine-tuning API, and servers that speak it; under pay-once."""

from __future__ import annotations

from motools_build.account import Account
from motools_build.backends.base import Backend, Health, Job, Provider
from motools_build.backends.openai.desk import Desk
from motools_build.backends.openai.files import Files
from motools_build.backends.openai.fine_tuning import Jobs
from motools_build.backends.openai.health import What, health, shutdowns
from motools_build.backends.openai.watch import Watch
from motools_build.backends.prices import Prices


class OpenAIBackend(Backend):
    """Uploads and fine-tuning jobs, through one client for each account."""

    paid = frozenset({"upload", "model"})

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._desks: dict[str, tuple[Desk, Watch]] = {}

    def provider(self, job: Job) -> Provider:
        desk, watch = self.desk(Account(**job.params["account"]))
        return Files(desk) if job.kind == "upload" else Jobs(desk, watch, self._prices)

    def desk(self, account: Account) -> tuple[Desk, Watch]:
        """The account's client and what all its requests share. Raises AccountError
        if there is no key."""
        if account.name not in self._desks:
            desk = Desk(account)
            self._desks[account.name] = desk, Watch(desk)
        return self._desks[account.name]

    async def health(self, account: Account, what: What, id: str) -> tuple[Health, str]:
        """How a file, a job or a model is, and a word on that."""
        return await health(self.desk(account)[0], what, id)

    async def shutdowns(self, account: Account) -> dict[str, str]:
        """Model -> the day on which it ends, where the server names one."""
        return await shutdowns(self.desk(account)[0])

    async def close(self) -> None:
        for desk, _ in self._desks.values():
            await desk.close()
