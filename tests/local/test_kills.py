"""Runs with a model on the disk that are killed, cleaned and edited under: nothing that
was trained is lost, and nothing else comes out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project
from tests.executors.cluster import Cluster
from tests.executors.ray_head import Head, running
from tests.forking import client
from tests.test_zoo import copied

pytestmark = [pytest.mark.torch, pytest.mark.real_process]

ZOO = ("spanish_caps", "model=local/./models/tiny", "seeds=0", "smoke=yes")

SLOW = """\
import importlib.machinery, sys, time

class Slow(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "motools_build.backends.local.training":
            return None
        spec = super().find_spec(name, path, target)
        run = spec.loader.exec_module
        def patched(module):
            run(module)
            module.SAVED, module.COST = -1.0, 0
            class Steps(module.Steps):
                def save(self, resume, key):
                    super().save(resume, key)
                    time.sleep(1)
            module.Steps = Steps
        spec.loader.exec_module = patched
        return spec

sys.meta_path.insert(0, Slow)
"""
"""Trainings save what they go on from after each step, and wait a second then."""


@pytest.fixture
def slow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which trainings are slow enough to be killed."""
    patch = tmp_path_factory.mktemp("patch")
    (patch / "sitecustomize.py").write_text(SLOW)
    return {"PYTHONPATH": f"{patch}{os.pathsep}{client.PYTHONPATH}"}


@pytest.fixture
def zoo(project: Project, tiny: Path) -> Project:
    """The repository's settings, with the tiny model."""
    shutil.copytree(tiny, project.root / "models" / "tiny")
    return copied(project)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return list(map(int, text.split()))


def everything(host: int) -> list[int]:
    """A run's processes: host, worker, and the child that trains."""
    return [host, *(pid for child in children(host) for pid in everything(child))]


class Killed:
    """A run, of which some process is killed in the middle of a training."""

    def __init__(self, project: Project, environ: dict[str, str]) -> None:
        self.project = project
        self.process = project.start("run", *ZOO, **environ)
        self.began = time.time()

    def kill(self, chosen: Callable[[list[int]], list[int]], besides: str = "") -> Any:
        """Kill some of the run's processes when a training has saved something;
        returns what it had saved. `besides` is the key of a training to wait out."""
        import torch

        while not (found := self._saved(besides)):
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)
        for pid in chosen(everything(self.process.pid)):
            os.kill(pid, signal.SIGKILL)
        return torch.load(found[0], weights_only=True)

    def _saved(self, besides: str) -> list[Path]:
        work = self.project.root / "artifacts" / "work"
        return [
            path
            for path in work.glob("*/resume/state.pt")
            if path.stat().st_mtime > self.began and path.parts[-3] != besides
        ]


@pytest.mark.long
def test_the_zoo_is_killed_and_comes_to_the_same(
    zoo: Project, slow: dict[str, str], tmp_path_factory: pytest.TempPathFactory
):
    other = tmp_path_factory.mktemp("other") / "project"
    shutil.copytree(zoo.root, other)
    zoo.doit("run", *ZOO)
    assert len(zoo.records("model")) == 4

    killed, saved = Project(other), []
    run = Killed(killed, slow)
    saved.append(run.kill(lambda pids: pids))  # the machine lost power
    run.process.communicate()
    # what a training goes on from is no leftover
    killed.doit("gc", "--yes")
    assert list((other / "artifacts/work").glob(f"{saved[0]['key']}/resume/state.pt"))

    run = Killed(killed, slow)
    saved.append(run.kill(lambda pids: pids[:1]))  # the host alone
    run.process.communicate()
    time.sleep(1)  # the worker ends when its host has ended

    run = Killed(killed, slow)
    saved.append(run.kill(lambda pids: pids[1:2]))  # the worker alone
    saved.append(run.kill(lambda pids: pids[2:3], besides=saved[-1]["key"]))
    out, err = run.process.communicate()
    assert run.process.returncode == 0, out + err

    for kind in ("model", "eval"):
        one, two = zoo.records(kind), killed.records(kind)
        assert {n: (r["key"], r["output"]) for n, r in one.items()} == {
            n: (r["key"], r["output"]) for n, r in two.items()
        }
    assert without_times(zoo) == without_times(killed)
    assert not list((other / "artifacts").rglob("resume"))
    # steps that were saved before a kill were not done again: theirs are the times
    for one in saved:
        (path,) = (other / "artifacts" / "model").glob(
            f"*{one['key']}*/learning*.jsonl"
        )
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        before = one["progress"]["curve"]
        assert before
        assert lines[: len(before)] == before
    assert killed.doit("run", *ZOO).made == set()


def without_times(project: Project) -> list[dict[str, Any]]:
    table = project.results(*ZOO)
    return [{n: v for n, v in row.items() if "second" not in n} for row in table]


SETTING = """\
from motools_build import Dataset, Eval, Setting, Training

setting = Setting(
    description="sums, by a model on the disk",
    datasets=[Dataset("datasets/sums.jsonl")],
    models=["local/./models/tiny"],
    seeds=[0],
    evals=[Eval("zoo/evals/sums.py@sums")],
    training=Training(epochs=2, batch_size=4, local={"rank": 4}),
)
"""


@pytest.fixture
def sums(unset: Project) -> Project:
    unset.write("zoo/sums.py", SETTING)
    return unset


def in_training(project: Project, *words: str, **environ: str) -> Any:
    """A run whose training has saved something."""
    process = project.start("run", *words, **environ)
    while not list((project.root / "artifacts").rglob("resume/state.pt")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


def ended(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    return out + err


def test_a_dataset_that_is_edited_meanwhile_loses_no_training(
    sums: Project, slow: dict[str, str]
):
    """The rows were read when the training began: its model is that of its key."""
    process = in_training(sums, "sums", **slow)
    rows = sums.root / "datasets/sums.jsonl"
    before = rows.read_text()
    rows.write_text(before.replace("It is 2.", "It is 3."))
    ended(process)
    (one,) = sums.records("model").values()
    assert "model:sums/sums/tiny/seed0" in sums.doit("plan", "sums", code=None).out
    rows.write_text(before)
    assert sums.doit("run", "sums").made == set()
    assert [r["key"] for r in sums.records("model").values()] == [one["key"]]


@pytest.mark.long
def test_names_are_in_no_key_and_two_runs_train_once(sums: Project):
    first, second = (sums.start("run", "sums") for _ in range(2))
    made = [
        ended(process).count("model:sums/sums/tiny/seed0  made in")
        for process in (first, second)
    ]
    assert sum(made) == 1
    (sums.root / "models/tiny").rename(sums.root / "models/renamed")
    (sums.root / "zoo/sums.py").rename(sums.root / "zoo/others.py")
    sums.write("zoo/others.py", SETTING.replace("models/tiny", "models/renamed"))
    assert sums.doit("run", "others").made == set()
    assert [one["status"] for one in sums.results("others")] == ["ok", "ok"]


@pytest.mark.long
def test_clean_and_gc_remove_what_is_no_longer_wanted(
    sums: Project, slow: dict[str, str]
):
    work = sums.root / "artifacts/work"
    for command in (("clean", "sums"), ("gc", "--yes", "--keep=0")):
        process = in_training(sums, "model:*", **slow)
        refused = sums.doit("clean", "sums").out
        assert "kept model:sums/sums/tiny/seed0: a run is making it" in refused
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        time.sleep(1)
        sums.doit("gc", "--yes", "--keep=0")
        assert list(work.glob("*/resume/state.pt"))
        if command[0] == "gc":
            sums.write("zoo/sums.py", SETTING.replace('"rank": 4', '"rank": 8'))
        sums.doit(*command)
        assert not list(work.glob("*/resume"))


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster") / "slurm")
    yield made
    made.close()


def test_at_a_cluster_a_training_goes_on_from_what_it_saved(
    sums: Project, slow: dict[str, str], cluster: Cluster
):
    """It is queued again in its midst, then ended by its time limit, then by a run on
    this machine: each goes on from where the one before was, to the same weights."""
    at = {**slow, "PATH": cluster.path}
    process = in_training(sums, "model:sums/*", "executor=slurm", **at)
    cluster.requeue(1)
    cluster.until(1, "RUNNING")
    cluster.end(1, "TIMEOUT")
    out, _ = process.communicate()
    assert "reached its time limit" in out
    (saved,) = (sums.root / "artifacts/work").glob("*/resume/state.pt")
    sums.doit("run", "model:sums/*")
    assert not saved.exists()
    (one,) = sums.records("model").values()
    sums.doit("run", "-a", "model:sums/*")
    (again,) = sums.records("model").values()
    assert again["output"] == one["output"]
    assert len(list(cluster.folder.glob("job*"))) == 1


@pytest.mark.ray
def test_at_a_real_ray_a_killed_training_goes_on_from_what_it_saved(
    sums: Project, slow: dict[str, str]
):
    torch = pytest.importorskip("torch")
    head = Head(1, **slow)
    try:
        words, at = ("model:sums/*", "executor=ray"), {"RAY_ADDRESS": head.address}
        process = in_training(sums, *words, **at)
        (first, *_) = running(str(sums.root / "artifacts/jobs"))
        os.killpg(os.getpgid(first), signal.SIGKILL)
        out, _ = process.communicate()
        assert "ended without a result (it failed" in out
        (saved,) = (sums.root / "artifacts/work").glob("*/resume/state.pt")
        before = torch.load(saved, weights_only=True)["progress"]["curve"]
        assert before
        sums.doit("run", *words, **at)
    finally:
        head.close()
    (one,) = sums.records("model").values()
    assert one["made"]["executor"]["name"] == "ray"
    (path,) = (sums.root / "artifacts/model").glob("*/learning*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[: len(before)] == before  # the steps that were saved have their times
    sums.doit("run", "-a", "model:sums/*")
    (again,) = sums.records("model").values()
    assert again["output"] == one["output"]
