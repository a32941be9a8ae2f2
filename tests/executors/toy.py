"""Jobs of the tests of executors, and runs that have them done by a cluster."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motools_build.backends.job import Made, Progress, StageJob
from motools_build.running.executors.jobs import ClusterJobs
from motools_build.running.executors.registry import cluster_of
from motools_build.store.artifacts import ArtifactStore
from tests.executors.cluster import Cluster
from tests.executors.ray_server import RayServer, until

AnyCluster = Cluster | RayServer

USED = "MOTOOLS_TESTS_EXECUTOR"
"""The variable that names the cluster of a test, for runs in processes of their own."""

STORE = "MOTOOLS_TESTS_STORE"
"""The variable with the address of the store that files travel through; not set if the
cluster's nodes see the run's folder."""

PLACE = "MOTOOLS_TESTS_TOY"
"""The variable with the folder in which jobs tell a test what they do; by default the
one in which they are done."""

BACKEND = '''
"""Stands where the embedded backend does: its work is what a job's name asks for."""
import os, time
from pathlib import Path
HERE = os.environ.get("MOTOOLS_TESTS_TOY", ".")
from motools_build.backends import registry
from motools_build.backends.base import Backend
from motools_build.backends.job import Made, Progress
from motools_build.errors import EngineError


class Toy(Backend):
    in_worker = frozenset({"model", "eval"})

    def keeps(self, job):
        return job.given["base"].output if "base" in job.given else None

    def prepare(self, job):
        with open(HERE + "/prepared", "a") as prepared:
            print(os.getpid(), file=prepared)

    def work(self, job, report):
        with open(HERE + "/ran", "a") as ran:
            print(job.key, file=ran)
        report(Progress(1, 2, "steps"))
        print("hello from the job")
        if job.name == "refuse":
            raise EngineError("too long; shorten it")
        if job.name == "names":
            for odd in ("a b", "\u00e9", "x#1", "new\\nline", "empty"):
                Path(job.work, odd).write_text("" if odd == "empty" else odd)
        if job.name == "die":
            os.kill(os.getpid(), 9)
        resume = Path(job.work) / "resume"
        resume.mkdir(exist_ok=True)
        saved = resume / "step"
        first = not saved.exists()
        saved.write_text("1")
        waits = job.name == "wait" or job.name == "after" and job.key[0] != "a"
        if waits and first:
            Path(HERE, "waits").touch()
            while not os.path.exists(HERE + "/go"):
                time.sleep(0.01)
        saved.unlink()
        resume.rmdir()
        (Path(job.work) / "weights").write_text(job.key)
        return Made(job.key, {"first": first})


registry.get = lambda name, prices=None: Toy()
'''

HOST = """
import asyncio, sys
from tests.executors.toy import job, one
asyncio.run(one(job(sys.argv[2], sys.argv[1])))
"""


def job(name: str, key: str = "a") -> StageJob:
    key = key * 32 if len(key) == 1 else key
    return StageJob("model", "embedded", key, name, None, f"artifacts/work/{key}")


def runs(**more: Any) -> ClusterJobs:
    """The executor of one run. `options` is the table of the test's cluster, and
    `sends_to` the name of another one."""
    options, store = more.pop("options", {}), os.environ.get(STORE)
    if store:
        options = {"through_store": True, "python": sys.executable, **options}
    tables = {os.environ[USED]: options}
    return ClusterJobs(
        ArtifactStore(),
        lambda name, place: cluster_of(name, place, tables, store),
        {},
        **{"interval": 0.1, "lag": 0.5, "sends_to": os.environ[USED], **more},
    )


async def one(
    wanted: StageJob, told: Callable[[Progress], None] = lambda p: None, **more: Any
) -> Made:
    """A job's result, as a run of its own gets it."""
    executor = runs(**more)
    try:
        return await executor.run(wanted, Path("artifacts/logs/x.log"), told)
    finally:
        await executor.close()


def result(wanted: StageJob, **more: Any) -> Made:
    return asyncio.run(one(wanted, **more))


async def while_saved(act: Callable[[], object], **more: Any) -> Made:
    """The result of a job that waits, after something was done in its midst."""
    task = asyncio.create_task(one(job("wait"), **more))
    await asyncio.to_thread(until, place("waits").exists)
    await asyncio.to_thread(act)
    return await task


def place(name: str) -> Path:
    """A file by which jobs tell a test what they do."""
    return Path(os.environ.get(PLACE, ".")) / name


def ran() -> list[str]:
    """The keys of the jobs that were begun."""
    try:
        return place("ran").read_text().split()
    except FileNotFoundError:
        return []


def folders() -> list[str]:
    return [one.path.name for one in ArtifactStore().jobs]


def host(name: str, key: str = "a") -> subprocess.Popen[bytes]:
    """A run in a process of its own, to be killed."""
    return subprocess.Popen([sys.executable, "-c", HOST, key, name])
