"""What a run of a project makes stages with: its workers, limits and payments."""

from __future__ import annotations

import time
from collections.abc import Callable

from motools_build.backends.job import Progress
from motools_build.project.executing import executor_of
from motools_build.project.project import Project
from motools_build.project.variables import keeps_snapshots, pays_offline, waits
from motools_build.running.budget import Budget
from motools_build.running.claiming import Claiming
from motools_build.running.executors import CLUSTERS
from motools_build.running.executors.jobs import ClusterJobs
from motools_build.running.executors.registry import cluster_of
from motools_build.running.pay_once import PayOnce
from motools_build.running.runtime import Runtime
from motools_build.running.stops import Stops
from motools_build.running.workers import WorkerPool
from motools_build.stages import Stage
from motools_build.store.shared.claims import Claims


def stops(project: Project) -> Stops:
    """The `doit cancel` orders; its `check` heeds those that are given from now on."""
    return Stops(project.store.root / "cancelled.jsonl", time.time())


def claiming(project: Project) -> Claiming:
    """The claims of one run. Raises InputError for a wrong address."""
    shared = project.sharing
    return Claiming(
        Claims(shared.tier.objects) if shared else None,
        project.store.states,
        project.settle,
        waits(project.variables),
        pays_offline(project.variables),
    )


def runtime_of(
    project: Project,
    workers: int,
    report: Callable[[Stage, Progress], None],
    always: bool,
) -> Runtime:
    """The runtime of one run, with at most so many workers. Raises InputError for wrong
    settings of the project: its launcher, its settle time, its limits, its prices."""
    store, orders = project.store, stops(project)
    table = project.config.executor
    executor, shared = executor_of(project.variables, table), project.config.store
    wait = waits(project.variables)
    return Runtime(
        store=store,
        memo=project.memo,
        pool=WorkerPool(
            workers, store.root / "logs/worker.log", project.launcher, project.tables
        ),
        report=report,
        payments=PayOnce(
            store.states,
            store.ledger,
            settle=project.settle,
            budget=Budget(project.max_spend),
            stops=orders,
            wait=wait,
            claiming=claiming(project),
            forbidden=store.accepted.check,
        ),
        account_of=project.account_of,
        cluster=ClusterJobs(
            store,
            lambda name, place: cluster_of(name, place, table, shared),
            project.tables,
            sends_to=executor if executor in CLUSTERS else "",
            wait=wait,
            check=orders.check,
        ),
        waits=wait,
        always=always,
        snapshots=keeps_snapshots(project.variables, project.config.snapshots),
        prices=project.prices,
        revisions=project.revisions,
        sharing=project.sharing,
    )
