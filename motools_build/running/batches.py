"""Batches of evals that share one call of Inspect: those of the same account and task
that become ready at about the same time.

Evals of a provider's models mostly wait for the network, so one process can do many,
within the account's number of connections. One call per account runs at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from motools_build import errors
from motools_build.backends.base import Together
from motools_build.backends.job import Made, Progress
from motools_build.running.workers import STARTS, Order, WorkerPool
from motools_build.store.upkeep import TOGETHER

GATHER = 0.1
"""A batch starts when no further eval has become ready for this many seconds."""

LONGEST_GATHER = 2.0
"""A batch starts after this many seconds in any case: while the models of a sweep are
finished one after another, evals might become ready without a pause."""


@dataclass
class _Waiting:
    """An eval that waits for its batch to start."""

    order: Order
    outcome: asyncio.Future[Made]
    told: bool = False
    """Whether its progress says that it waits for the call before it."""


@dataclass
class _Queue:
    """The queue of one account, or of one combination of accounts."""

    calls: dict[str, list[_Waiting]] = field(default_factory=dict)
    """`Together.call`, which the evals of a batch have in common -> waiting evals."""
    server: asyncio.Task[None] | None = None
    """The task that works the queue off; None while the queue is empty."""
    latest: float = 0.0
    """Time of the last arrival in the queue, by the event loop's clock, in seconds."""
    busy: bool = False
    """Whether a call is under way."""


class Batches:
    """Joins evals into batches. Each batch gets a worker process of its own, which does
    not count towards the pool's size."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._queues: dict[str, _Queue] = {}

    async def run(self, order: Order, together: Together, folder: Path) -> Made:
        """Do an eval, in one call with others like it that are ready. While the call
        runs, its logs are in a folder of its own below `folder`. If the worker dies,
        each unfinished eval is tried once more, alone.

        Raises what the eval raised, or WorkerDied.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(order, loop.create_future())
        queue = self._queues.setdefault(together.queue, _Queue())
        queue.calls.setdefault(together.call, []).append(waiting)
        queue.latest = loop.time()
        if queue.server is None:
            queue.server = asyncio.create_task(self._serve(queue, folder))
        if queue.busy:
            waiting.told = True
            order.report(Progress(0, 0, "", "waits for the evals before it"))
        return await waiting.outcome

    async def close(self) -> None:
        """Cancel all calls."""
        servers = [queue.server for queue in self._queues.values() if queue.server]
        for server in servers:
            server.cancel()
        if servers:
            await asyncio.wait(servers)

    async def _serve(self, queue: _Queue, folder: Path) -> None:
        """Run one call after another until the queue is empty."""
        while queue.calls:
            await gathered(lambda: queue.latest)
            call = next(iter(queue.calls))
            waiting = queue.calls.pop(call)
            queue.busy = True
            try:
                await self._do(waiting, folder / (TOGETHER + call))
            except Exception as error:  # noqa: BLE001 - passed on to all waiting evals
                for one in waiting:
                    if not one.outcome.done():
                        one.outcome.set_exception(error)
            queue.busy = False
        queue.server = None

    async def _do(self, waiting: list[_Waiting], folder: Path) -> None:
        """Run a call and set the outcome of each of its evals."""
        folder.mkdir(parents=True, exist_ok=True)
        orders = [one.order for one in waiting]
        for one in waiting:
            if one.told:
                one.order.report(Progress(0, 0, "", STARTS))
        outcomes = await self._pool.attempt(orders, folder)
        for one in waiting:
            outcome = outcomes[one.order.job.key]
            if isinstance(outcome, errors.WorkerDied):
                again = await self._pool.attempt([one.order], folder)
                outcome = again[one.order.job.key]
            if one.outcome.done():  # cancelled
                continue
            if isinstance(outcome, Exception):
                one.outcome.set_exception(outcome)
            else:
                one.outcome.set_result(outcome)
        with suppress(OSError):  # not empty if another run left an unfinished log
            folder.rmdir()


async def gathered(latest: Callable[[], float]) -> None:
    """Wait until nothing has arrived for GATHER seconds, at most LONGEST_GATHER.
    `latest` gives the time of the last arrival, by the event loop's clock."""
    clock = asyncio.get_running_loop().time
    last = clock() + LONGEST_GATHER
    while (begin := min(latest() + GATHER, last)) > clock():
        await asyncio.sleep(begin - clock())
