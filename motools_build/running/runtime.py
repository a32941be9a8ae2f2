"""The runtime of a run, which all its stages share: store, workers, payments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from motools_build.account import Account
from motools_build.backends import registry
from motools_build.backends.base import Backend
from motools_build.backends.job import Progress
from motools_build.backends.prices import Prices
from motools_build.keys import DigestMemo
from motools_build.running import LOGGER
from motools_build.running.alike import Alike
from motools_build.running.batches import Batches
from motools_build.running.executors.base import Executor
from motools_build.running.pay_once import PayOnce
from motools_build.running.revision import Revisions
from motools_build.running.workers import WorkerPool
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.shared.sharing import Sharing


@dataclass(frozen=True)
class Runtime:
    """The objects that `run_stage` needs. There is one instance per run."""

    store: ArtifactStore
    memo: DigestMemo
    pool: WorkerPool
    report: Callable[[Stage, Progress], None]
    """Callback for progress."""
    payments: PayOnce
    account_of: Callable[[str], Account]
    """Function from an account's name to the account. A fine-tuned model is queried
    with the account that owns it."""
    cluster: Executor | None = None
    """Has jobs done by a cluster, those that it takes; None if there is none."""
    waits: bool = True
    """Whether the run waits for jobs at providers and clusters, and for other runs."""
    always: bool = False
    """Make the stage even if it is up to date."""
    snapshots: bool = True
    """Whether the bytes of the files that stages are made of are kept."""
    prices: Prices = field(default_factory=Prices)
    looked_at: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Key of an upload -> the check that its file still exists at the provider, done
    once per run."""
    revisions: Revisions = field(default_factory=Revisions)
    """The git commit of the project, for records."""
    sharing: Sharing | None = None
    """The shared store that gets what is made; None if there is none."""
    _backends: dict[str, Backend] = field(default_factory=dict)

    def backend(self, name: str) -> Backend:
        """The run's backend of that name. All its jobs share the backend's clients."""
        if name not in self._backends:
            self._backends[name] = registry.get(name, self.prices)
        return self._backends[name]

    @cached_property
    def alike(self) -> Alike:
        """Facts from earlier records of the same work, read on first use."""
        return Alike(self.store)

    @cached_property
    def batches(self) -> Batches:
        """The evals that share a call of Inspect."""
        return Batches(self.pool)

    def left_at_cluster(self) -> list[str]:
        """What to tell of jobs that go on at a cluster when the run has ended."""
        count = sum(1 for _ in self.store.jobs)
        if not count:
            return []
        what = "1 job goes" if count == 1 else f"{count} jobs go"
        return [
            f"{what} on at the cluster (doit jobs); the next run takes up what has "
            "ended; to end them: doit cancel --all"
        ]

    async def close(self) -> None:
        """End the workers and close the connections to providers."""
        await self.batches.close()
        await self.pool.close()
        if self.cluster:
            await self.cluster.close()
        if self.sharing:
            await asyncio.to_thread(self.sharing.close)
        for name, backend in self._backends.items():
            try:
                await backend.close()
            except Exception as error:  # noqa: BLE001 - all is made by now
                LOGGER.warning("closing %s failed: %r", name, error)
