"""Jobs that are ready at the same time are tasks of one array: each is done once,
whatever dies meanwhile, and none fails because it was submitted with others."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from motools_build.backends.job import Given, Made, Progress
from motools_build.errors import Deferred, Refused, StageFailed
from motools_build.running import batches
from motools_build.running.executors.registry import cluster_of
from motools_build.store.artifacts import ArtifactStore
from tests.executors.cluster import Cluster
from tests.executors.ray_server import until
from tests.executors.toy import folders, job, ran, runs

pytestmark = [pytest.mark.real_process, pytest.mark.usefixtures("toy")]

KILLS = int(os.environ.get("MOTOOLS_KILLS", "8"))

HOST = """
import asyncio, os, signal, sys
from motools_build.running.executors import slurm_commands
from motools_build.store.jobs import JobFolder
from tests.executors.test_arrays import many

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def dying(name, then):
    calls = []
    do = getattr(JobFolder, name)
    def instead(*args):
        do(*args)
        calls.append(1)
        if len(calls) == 2:
            die()
    setattr(JobFolder, name, instead)

moment, kind, *keys = sys.argv[1:]
submit = slurm_commands.submit
if moment == "between marks":
    dying("is_sent", die)
elif moment == "before sbatch":
    slurm_commands.submit = die
elif moment == "after sbatch":
    slurm_commands.submit = lambda *args: die(submit(*args))
elif moment == "between IDs":
    dying("submitted", die)
asyncio.run(many("work", keys, kind=kind))
"""


@pytest.fixture
def cluster(slurm: Cluster) -> Cluster:
    return slurm


async def many(
    name: str,
    keys: Iterable[str],
    told: Callable[[Progress], None] = lambda p: None,
    kind: str = "model",
    **more: Any,
) -> list[Any]:
    """The results of jobs of one run, or their errors. Evals are of one base model;
    a job whose key is in upper case has the name `die`."""
    executor = runs(**more)
    log = Path("artifacts/logs/x.log")
    wanted = [job("die" if key.isupper() else name, key.lower()) for key in keys]
    if kind == "eval":
        base = {"base": Given("weights", "weights", {})}
        wanted = [replace(one, kind="eval", given=base) for one in wanted]
    all_ = (executor.run(one, log, told) for one in wanted)
    try:
        with mock.patch.object(batches, "GATHER", 1.0):  # on a machine that is busy
            return await asyncio.gather(*all_, return_exceptions=True)
    finally:
        await executor.close()


def results(name: str, keys: Iterable[str], **more: Any) -> list[Any]:
    return asyncio.run(many(name, keys, **more))


def outputs(made: Iterable[Any]) -> str:
    """The keys that were made, by their first letters; errors are raised."""
    found = ""
    for one in made:
        if not isinstance(one, Made):
            raise one
        found += one.output[0]
    return found


def host(moment: str, *keys: str, kind: str = "model") -> subprocess.Popen[bytes]:
    """A run of several jobs in a process of its own, which dies at that moment."""
    return subprocess.Popen([sys.executable, "-c", HOST, moment, kind, *keys])


def full(key: str) -> str:
    return key * 32


def test_what_is_ready_together_is_one_array(cluster: Cluster) -> None:
    made = results("work", "abcd")
    assert outputs(made) == "abcd"
    ids = sorted(one.executor["id"] for one in made)
    assert ids == ["1_0", "1_1", "1_2", "1_3"]
    assert (cluster.calls("sbatch"), cluster.jobs) == (1, 4)
    assert sorted(ran()) == [full(key) for key in "abcd"]
    words = (cluster.folder / "job1_2/words").read_text().splitlines()
    assert {"--job-name=motools-4-stages", "--array=0-3", "--requeue"} <= {*words}
    for folder in ArtifactStore().jobs:
        assert "exec" in (folder.path / "script").read_text()
        assert folder.log.exists()


def test_jobs_of_other_options_are_submitted_apart(cluster: Cluster) -> None:
    async def story() -> list[Made]:
        executor = runs(options={"time": "60", "eval": {"time": "5"}})
        log = Path("artifacts/logs/x.log")
        jobs = [job("work", key) for key in "abcd"]
        jobs[1:3] = [replace(one, kind="eval") for one in jobs[1:3]]
        all_ = (executor.run(one, log, lambda _: None) for one in jobs)
        try:
            return await asyncio.gather(*all_)
        finally:
            await executor.close()

    assert outputs(asyncio.run(story())) == "abcd"
    assert cluster.calls("sbatch") == 2
    times = []
    for array in (1, 2):
        told = [cluster.folder / f"job{array}_{task}/words" for task in (0, 1)]
        (of_both,) = {file.read_text() for file in told}
        times += [word for word in of_both.splitlines() if "--time" in word]
    assert sorted(times) == ["--time=5", "--time=60"]


@pytest.mark.parametrize(
    "moment", ["between marks", "before sbatch", "after sbatch", "between IDs"]
)
def test_a_run_that_dies_around_a_submission_loses_and_doubles_nothing(
    cluster: Cluster, moment: str
) -> None:
    keys = [full(key) for key in "abc"]
    assert host(moment, *keys).wait() == -signal.SIGKILL
    assert len(folders()) == 3
    assert outputs(results("work", "abc")) == "abc"
    assert cluster.jobs == 3
    assert sorted(ran()) == keys


def test_a_run_that_dies_in_the_midst_of_sbatch_is_waited_for(cluster: Cluster) -> None:
    keys = [full(key) for key in "abc"]
    cluster.set("slow")
    first = host("never", *keys)
    until(lambda: cluster.jobs == 3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    asked = cluster.calls("squeue") + 1  # its last one may have just been begun
    second = host("never", *keys)
    until(lambda: cluster.state("1_0") == "COMPLETED")
    assert cluster.calls("squeue") <= asked  # the first sbatch still is at work
    cluster.unset("slow")
    assert second.wait(timeout=60) == 0
    assert (cluster.jobs, sorted(ran())) == (3, keys)


def test_the_lost_answer_of_an_array_is_looked_for(cluster: Cluster) -> None:
    cluster.set("lose")
    assert outputs(results("work", "abc")) == "abc"
    assert cluster.jobs == 3


def test_a_storm_of_kills_does_each_job_of_an_array_once(cluster: Cluster) -> None:
    moments = random.Random(11)
    began = time.monotonic()
    host("never", "f" * 32, "e" * 32).wait()
    span = time.monotonic() - began
    wanted = ["f" * 32, "e" * 32]
    for number in range(max(1, KILLS // 3)):
        keys = [f"{number:031x}{last}" for last in "abc"]
        if moments.random() < 0.3:
            cluster.set("lose")
        for _ in range(3):
            killed = host("never", *moments.sample(keys, moments.choice((2, 3))))
            time.sleep(moments.uniform(0, span))
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        made = results("work", keys)
        assert [one.output for one in made] == keys
        for key in keys:
            ArtifactStore().jobs.forget(key)
        wanted += keys
    assert sorted(ran()) == sorted(wanted)


def test_while_the_limit_of_jobs_is_reached_there_are_fewer(cluster: Cluster) -> None:
    cluster.set("limit", text="3")
    told: list[str] = []
    made = results("work", "abcdefgh", told=lambda p: told.append(p.note), full=0.2)
    assert outputs(made) == "abcdefgh"
    assert cluster.jobs == 8
    assert (cluster.folder / "job1_1").is_dir()  # eight, then four were too many
    assert any("waits for its turn" in note for note in told)


def test_a_run_that_does_not_wait_leaves_what_has_no_room(cluster: Cluster) -> None:
    cluster.set("limit", text="3")
    cluster.set("hold")
    made = results("work", "abcdefgh", wait=False)
    assert all(isinstance(one, Deferred) for one in made)
    said = "".join(f"{one}\n" for one in made)
    assert said.count("and not awaited") == cluster.jobs == 3
    assert said.count("QOSMaxSubmitJobPerUserLimit; run again later") == 5
    cluster.unset("hold", "limit")
    assert outputs(results("work", "abcdefgh")) == "abcdefgh"
    assert sorted(ran()) == [full(key) for key in "abcdefgh"]


@pytest.mark.parametrize(
    "text", ["error: Invalid job array specification", "error: the site says no"]
)
def test_where_arrays_are_refused_jobs_are_submitted_one_by_one(
    cluster: Cluster, text: str
) -> None:
    cluster.set("no-arrays", text=text)
    assert outputs(results("work", "abcd")) == "abcd"
    assert cluster.jobs == 4
    assert (cluster.folder / "job1").is_dir()


def test_what_is_refused_for_one_is_not_asked_for_each(cluster: Cluster) -> None:
    cluster.set("refuse", text="sbatch: error: invalid partition specified: gpuu")
    made = results("work", "abcdefgh")
    assert all(type(one) is Refused and "gpuu" in str(one) for one in made)
    assert (folders(), cluster.calls("sbatch")) == ([], 2)


def test_one_task_ends_and_another_begins_again_alone(cluster: Cluster) -> None:
    async def story() -> list[Any]:
        task = asyncio.create_task(many("wait", "abc"))
        for key in "abc":
            saved = Path(f"artifacts/jobs/{full(key)}-a1/work/resume/step")
            await asyncio.to_thread(until, saved.exists)
        _, b, c = ArtifactStore().jobs
        listed = cluster_of("slurm").listing()
        assert listed[b.mark].id == b.id
        cluster_of("slurm").cancel(b.id)
        cluster.requeue(c.id)
        Path("go").touch()
        return await task

    a, b, c = asyncio.run(story())
    assert (a.details, c.details) == ({"first": True}, {"first": False})
    assert isinstance(b, StageFailed)
    assert re.search(r"Slurm job 1_\d was cancelled", str(b))


def test_what_was_to_be_an_array_may_be_submitted_alone(cluster: Cluster) -> None:
    keys = [full(key) for key in "abc"]
    assert host("before sbatch", *keys).wait() == -signal.SIGKILL
    (marked, *_) = ArtifactStore().jobs
    assert "_" in marked.mark
    assert outputs(results("work", "a")) == "a"
    assert marked.mark == json.loads((marked.path / "job.json").read_text())["nonce"]
    assert marked.id == "1"
    assert outputs(results("work", "bc")) == "bc"
    assert sorted(ran()) == keys


def test_a_task_whose_folder_is_gone_does_nothing(cluster: Cluster) -> None:
    cluster.set("hold")
    results("work", "ab", wait=False)
    ArtifactStore().jobs.forget(full("a"))
    cluster.unset("hold")
    cluster.until("1_0", "COMPLETED")
    assert outputs(results("work", "b")) == "b"
    assert ran() == [full("b")]


def test_the_environment_of_a_task_is_as_of_a_job(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecretkey12345678")
    results("work", "ab", options={"setup": ["echo from setup; export A=1"]})
    for folder in ArtifactStore().jobs:
        assert "from setup" in folder.log.read_text()
    files = [path for path in Path().rglob("*") if path.is_file()]
    files += [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"verysecret" in path.read_bytes()]
    assert os.environ["OPENAI_API_KEY"]
