"""Evals that share a call of Inspect: those of one account and one task that are ready
at about the same time.

They wait for the network rather than work, so that one process asks for all of them,
within the account's number of connections. Of each account, one call runs at a time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from motools_build import errors
from motools_build.backends.base import Together
from motools_build.backends.job import Made, Progress
from motools_build.running.workers import STARTS, Order, WorkerPool
from motools_build.store.upkeep import TOGETHER

GATHER = 0.1
"""Seconds without another eval that is ready, after which those that are begin."""

LONGEST_GATHER = 2.0
"""Seconds after which they begin in any case: where the models of a sweep are finished
one after another, the quiet might never come."""


@dataclass
class _Waiting:
    """An eval that waits for the others of its call."""

    order: Order
    outcome: asyncio.Future[Made]
    told: bool = False
    """Whether it was told to wait for the call before it."""


@dataclass
class _Queue:
    """The evals of one account."""

    calls: dict[str, list[_Waiting]] = field(default_factory=dict)
    """Those that wait, by what the evals of a call have in common."""
    server: asyncio.Task[None] | None = None
    latest: float = 0.0
    """When the last one came, by the loop's clock."""
    busy: bool = False
    """Whether a call is under way."""


class Batches:
    """Joins evals into calls, and has each done by a worker of its own, besides those
    that the pool's size allows."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._queues: dict[str, _Queue] = {}

    async def run(self, order: Order, together: Together, folder: Path) -> Made:
        """Do an eval in one call with others like it that are ready. The call's logs
        lie in a folder of its own below `folder` while it runs. If the worker dies,
        each eval that was unfinished is tried once more, alone.

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
        """End all calls."""
        servers = [queue.server for queue in self._queues.values() if queue.server]
        for server in servers:
            server.cancel()
        if servers:
            await asyncio.wait(servers)

    async def _serve(self, queue: _Queue, folder: Path) -> None:
        """One call after another, until nobody waits."""
        while queue.calls:
            await _gathered(queue)
            call = next(iter(queue.calls))
            waiting = queue.calls.pop(call)
            queue.busy = True
            try:
                await self._do(waiting, folder / (TOGETHER + call))
            except Exception as error:  # noqa: BLE001 - handed to each that waits
                for one in waiting:
                    if not one.outcome.done():
                        one.outcome.set_exception(error)
            queue.busy = False
        queue.server = None

    async def _do(self, waiting: list[_Waiting], folder: Path) -> None:
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
        with suppress(OSError):  # not empty: an unfinished log, of another run
            folder.rmdir()


async def _gathered(queue: _Queue) -> None:
    """Wait until no more evals come, or for as long as that may take."""
    clock = asyncio.get_running_loop().time
    last = clock() + LONGEST_GATHER
    while (begin := min(queue.latest + GATHER, last)) > clock():
        await asyncio.sleep(begin - clock())
