"""What asking a provider's models costs: reserved before, written down after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from motools_build.account import Account
from motools_build.backends.prices import Prices
from motools_build.errors import EvalFailed, OverBudget, WorkerDied
from motools_build.running.alike import Alike
from motools_build.running.bounds import bound
from motools_build.running.effects import entry_of
from motools_build.running.pay_once import PayOnce
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Paid

ASKED = (EvalFailed, WorkerDied)
"""Failures of which nobody knows how much was asked before."""


@asynccontextmanager
async def charged(
    stage: Stage, store: ArtifactStore, payments: PayOnce, prices: Prices, alike: Alike
) -> AsyncIterator[None]:
    """Around the making of a stage: of one that asks a provider's models the cost is
    reserved, and what it came to is written into the ledger.

    Raises OverBudget where it does not fit, or nobody can say; Refused if it was
    cancelled while it waited.
    """
    account = stage.account
    if account is None or not stage.asks or stage.backend != "inspect":
        yield
        return
    if payments.stops:
        payments.stops.check(stage.name, stage.key)
    month, budget = account.month_budget, payments.budget
    reserved = 0.0
    if month or budget.limit is not None:
        cost = await asyncio.to_thread(bound, stage, prices, alike)
        what = stage.name, stage.key, 1
        payments.monthly.take(account.name, month, what, cost.cost, cost.why)
        try:
            reserved = budget.reserve(stage.name, cost.cost, cost.why)
        except OverBudget:
            payments.monthly.give_back(account.name, stage.key, 1)
            raise
    came_to: float | None = 0.0
    try:
        yield
        record = store.get(stage)
        came_to = record.details.get("cost") if record else None
    except (*ASKED, asyncio.CancelledError):
        came_to = None
        raise
    finally:
        payments.monthly.give_back(account.name, stage.key, 1)
        known = (reserved or None) if came_to is None else came_to
        budget.settle(reserved, known)
        if known != 0.0:
            await asyncio.to_thread(_note, stage, account, store, known)


def _note(
    stage: Stage, account: Account, store: ArtifactStore, cost: float | None
) -> None:
    paid = Paid("absent", stage.name, stage.kind, stage.backend, account.name)
    store.ledger.note(entry_of(stage.key, paid, "asked", cost=cost))
