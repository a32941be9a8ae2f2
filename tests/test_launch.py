"""Launchers: of another package, found again, and workers that need no host."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from motools_build import errors
from motools_build.backends.base import Together
from motools_build.backends.job import Made, Progress, StageJob
from motools_build.running import batches
from motools_build.running.batches import Batches
from motools_build.running.launch import messages, registry
from motools_build.running.launch.base import worker_environment
from motools_build.running.launch.local import LocalLauncher
from motools_build.running.launch.messages import Done, Ended, Request, Told
from motools_build.running.workers import Order, WorkerPool
from tests.conftest import ROOT, Project

LOG = Path("logs/job.log")


def job(key: str = "k") -> StageJob:
    return StageJob("model", "embedded", key, "model:s", None, "work")


# ---- a launcher of another package

TOY = '''
from motools_build.backends.job import Made
from motools_build.errors import InputError
from motools_build.running.launch.messages import Done, Ended

class Toy:
    """Its workers know what comes of a job before they have looked at it."""

    def __init__(self, options):
        if set(options) != {"queue"}:
            raise InputError(f"the toy has one option, queue, not {', '.join(options)}")
        self.queue = options["queue"]

    async def start(self, log):
        return ToyWorker(self.queue)

class ToyWorker:
    def __init__(self, queue):
        self.queue = queue

    async def send(self, request):
        made = Made("scores", {"queue": self.queue, "scores": {}})
        self.told = [*(Done(job.key, made) for job in request.jobs), Ended(0)]

    async def receive(self):
        return self.told.pop(0)

    async def end(self):
        pass
'''

TASK = """
from inspect_ai import Task, task

@task
def never_loaded():
    raise RuntimeError("no worker of this machine may load it")
"""


@pytest.fixture
def installed(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project, and a package that adds a launcher: a module and an entry point."""
    packages = project.root / "packages"
    project.write("packages/toy.py", TOY)
    project.write("packages/toy-0.dist-info/METADATA", "Name: toy\nVersion: 0\n")
    project.write(
        "packages/toy-0.dist-info/entry_points.txt",
        f"[{registry.GROUP}]\ntoy = toy:Toy\nbroken = toy:Absent\n",
    )
    monkeypatch.syspath_prepend(packages)
    project.dataset("tiny")
    project.setting("tiny", evals='[Eval("zoo/evals/task.py@never_loaded")]')
    project.write("zoo/evals/task.py", TASK)
    return project


def choose(project: Project, text: str) -> None:
    file = project.root / "pyproject.toml"
    file.write_text(f"{file.read_text()}\n[tool.motools_build]\n{text}\n")


def test_a_launcher_of_another_package_does_a_projects_jobs(installed: Project) -> None:
    choose(installed, 'launcher = "toy"\nlaunchers.toy = {queue = "night"}')
    path = f"{installed.root / 'packages'}{os.pathsep}{ROOT}"
    installed.doit("run", "tiny", PYTHONPATH=path)
    details = [record["details"] for record in installed.records("eval").values()]
    assert [found["queue"] for found in details] == ["night"] * 2
    # the environment has the last word, as where the cluster cannot be reached
    ran = installed.doit("run", "-a", "tiny", code=2, MOTOOLS_LAUNCHER="local")
    assert "no worker of this machine may load it" in ran.out


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ('launcher = "tyo"', "no launcher is called 'tyo'; did you mean 'toy'?"),
        ('launcher = "broken"', "cannot be imported from toy:Absent"),
        ('launcher = "toy"', "the toy has one option, queue, not"),
        ("launcher = 3", "pyproject.toml: launcher is a name, not 3"),
        ("launchers.local = {cores = 3}", "launchers.local] has no cores"),
        ("launchers.local = 3", "launchers.local] is a table, not 3"),
    ],
)
def test_a_launcher_that_cannot_be_had_is_refused_before_anything_runs(
    installed: Project, chosen: str, said: str
) -> None:
    choose(installed, chosen)
    path = f"{installed.root / 'packages'}{os.pathsep}{ROOT}"
    ran = installed.doit("run", "tiny", code=3, PYTHONPATH=path)
    assert said in ran.err
    assert installed.records("model") == {}


def test_a_launcher_is_looked_at_when_there_is_something_to_make(
    project: Project,
) -> None:
    project.dataset("tiny")
    project.setting("tiny")
    project.doit("run", "tiny")
    choose(project, 'launcher = "tyo"')
    path = str(ROOT)  # without the tests' own launcher
    assert project.doit("run", "tiny", PYTHONPATH=path).made == set()
    again = project.doit("run", "-a", "tiny", code=3, PYTHONPATH=path)
    assert "no launcher is called 'tyo'" in again.err
    assert again.out == ""  # not "nothing to do"


# ---- a worker that needs no host

BACKEND = """
from motools_build.backends import registry
from motools_build.backends.base import Backend
from motools_build.backends.job import Made, Progress

class Toy(Backend):
    in_worker = frozenset({"model"})

    def work(self, job, report):
        print("printed by", job.key)
        report(Progress(1, 1, "steps"))
        return Made(f"made of {job.key}", {})

registry.get = lambda name, prices=None: Toy()
"""


def test_without_a_host_a_worker_ends_after_its_last_request(tmp_path: Path) -> None:
    """As a cluster's job runs it, its requests and messages being files."""
    (tmp_path / "sitecustomize.py").write_text(BACKEND)
    log = tmp_path / "logs/job.log"
    requests = [Request((job(key),), log) for key in ("a", "b")]
    ran = subprocess.run(
        [sys.executable, "-m", "motools_build.running.worker"],
        input=b"".join(request.encode() for request in requests),
        capture_output=True,
        cwd=tmp_path,
        env={
            **worker_environment(os.environ),
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        },
        check=True,
    )
    told = [messages.decode(line) for line in ran.stdout.splitlines()]
    assert [(type(one), getattr(one, "key", "")) for one in told] == [
        *((Told, "a"), (Done, "a"), (Ended, "")),
        *((Told, "b"), (Done, "b"), (Ended, "")),
    ]
    assert log.read_text() == "printed by a\nprinted by b\n"


def test_requests_and_messages_are_what_they_were_after_a_pipe() -> None:
    request = Request((job("a"), job("b")), LOG, Path("work/together-1"))
    assert Request.decode(request.encode()) == request
    for message in (
        Told("a", Progress(1, 2, "steps", "loss 1.2")),
        Done("a", Made("digest", {"n": 1}, 2.5)),
        messages.Failed("a", "EngineError", "too long"),
        Ended(-9),
    ):
        assert messages.decode(messages.encode(message)) == message


# ---- evals that share a call


def test_a_steady_stream_of_evals_cannot_defer_a_call_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(batches, "GATHER", 0.05)
    monkeypatch.setattr(batches, "LONGEST_GATHER", 0.3)
    sizes: list[int] = []

    class Pool(WorkerPool):
        async def attempt(
            self, orders: Any, folder: Path | None = None
        ) -> dict[str, Made | Exception]:
            sizes.append(len(orders))
            return {order.job.key: Made("", {}) for order in orders}

    async def main() -> None:
        here = Batches(Pool(1, LOG, LocalLauncher({})))
        together = Together("account", "call")
        running = []
        end = asyncio.get_running_loop().time() + 60
        while not sizes:
            assert asyncio.get_running_loop().time() < end
            order = Order(job(str(len(running))), LOG, lambda _: None)
            running.append(asyncio.create_task(here.run(order, together, tmp_path)))
            await asyncio.sleep(0)  # one comes in every turn of the loop
        await asyncio.gather(*running)

    asyncio.run(main())
    assert sizes[0] > 1


def test_errors_of_a_call_reach_each_of_its_evals(tmp_path: Path) -> None:
    class Pool(WorkerPool):
        async def attempt(
            self, orders: Any, folder: Path | None = None
        ) -> Mapping[str, Made | Exception]:
            return {
                order.job.key: errors.EvalFailed(f"no {order.job.key}")
                for order in orders
            }

    async def main() -> list[Made | BaseException]:
        here = Batches(Pool(1, LOG, LocalLauncher({})))
        runs = [
            here.run(Order(job(k), LOG, print), Together("a", "c"), tmp_path)
            for k in "ab"
        ]
        return await asyncio.gather(*runs, return_exceptions=True)

    assert list(map(str, asyncio.run(main()))) == ["no a", "no b"]
