"""The cost of querying a provider's models: reserved before, and noted after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from motools_build.backends.prices import Prices
from motools_build.errors import EvalFailed, OverBudget, WorkerDied
from motools_build.running.alike import Alike
from motools_build.running.bounds import Bound, bound, shares_of
from motools_build.running.effects import entry_of
from motools_build.running.reservations import Reservations
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Paid

UNCOUNTED = (EvalFailed, WorkerDied)
"""Failures after which it is unknown how many requests were sent."""


@asynccontextmanager
async def charged(
    stage: Stage,
    store: ArtifactStore,
    reservations: Reservations,
    prices: Prices,
    alike: Alike,
) -> AsyncIterator[None]:
    """Context in which a stage is made. If the stage queries a provider's models, its
    cost is reserved on entry, and the actual cost is written to the ledger on exit.

    Raises OverBudget if the cost exceeds a budget, or is unknown and there is a budget;
    Refused if the stage was cancelled while it waited; ArtifactError if it is accepted
    as another key's artifact.
    """
    payers = stage.accounts
    if not payers or not stage.asks or stage.backend != "inspect":
        yield
        return
    store.accepted.check(stage.name, stage.key)
    if reservations.stops:
        reservations.stops.check(stage.name, stage.key)
    limited = reservations.budget.limit is not None
    reserved = Bound(0.0)
    if limited or any(account.month_budget for account in payers):
        reserved = await asyncio.to_thread(bound, stage, prices, alike)
        _reserve(stage, reservations, reserved)
    came_to: dict[str, float | None] = dict.fromkeys((a.name for a in payers), 0.0)
    try:
        yield
        came_to = _told(stage, store, prices)
    except (*UNCOUNTED, asyncio.CancelledError):
        came_to = dict.fromkeys(came_to)
        raise
    finally:
        for name, cost in came_to.items():
            reservations.monthly.give_back(name, stage.key, 1)
            if cost is None:
                came_to[name] = reserved.shares.get(name) or None
        known = [cost for cost in came_to.values() if cost is not None]
        total = sum(known) if len(known) == len(came_to) else reserved.cost or None
        reservations.budget.settle(reserved.cost or 0.0, total)
        for name, cost in came_to.items():
            if cost != 0.0:
                await asyncio.to_thread(_note, stage, store, name, cost)


def _reserve(stage: Stage, reservations: Reservations, cost: Bound) -> None:
    """Reserve a cost in the accounts' monthly budgets and in the run's. Raises
    OverBudget, and reserves nothing, if it exceeds one of them."""
    what = stage.name, stage.key, 1
    try:
        for account in stage.accounts:
            share = cost.cost and cost.shares.get(account.name, 0.0)
            month = account.month_budget
            reservations.monthly.take(account.name, month, what, share, cost.why)
        reservations.budget.reserve(stage.name, cost.cost, cost.why)
    except OverBudget:
        for account in stage.accounts:
            reservations.monthly.give_back(account.name, stage.key, 1)
        raise


def _told(
    stage: Stage, store: ArtifactStore, prices: Prices
) -> dict[str, float | None]:
    """Account name -> USD, from the record of the artifact; None if unknown."""
    record = store.get(stage)
    details = record.details if record else {}
    if len(stage.accounts) == 1:
        return {stage.accounts[0].name: details.get("cost")}
    if "usage" not in details:
        return {account.name: None for account in stage.accounts}
    return shares_of(stage, details["usage"], prices)


def _note(stage: Stage, store: ArtifactStore, account: str, cost: float | None) -> None:
    paid = Paid("absent", stage.name, stage.kind, stage.backend, account)
    store.ledger.note(entry_of(stage.key, paid, "asked", cost=cost))
