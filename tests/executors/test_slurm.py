"""Jobs of the executor `slurm`: each done once, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.job import Made, Progress, StageJob
from motools_build.errors import Deferred, EngineError, Refused, StageFailed
from motools_build.running.executors.cluster import Listed
from motools_build.running.executors.jobs import ClusterJobs
from motools_build.running.executors.queue import Queue
from motools_build.running.executors.registry import cluster_of
from motools_build.store.artifacts import ArtifactStore
from tests.conftest import ROOT
from tests.executors.cluster import Cluster

pytestmark = pytest.mark.real_process

KILLS = int(os.environ.get("MOTOOLS_KILLS", "8"))

BACKEND = '''
"""Stands where the embedded backend does: its work is what a job's name asks for."""
import os, time
from pathlib import Path
from motools_build.backends import registry
from motools_build.backends.base import Backend
from motools_build.backends.job import Made, Progress
from motools_build.errors import EngineError


class Toy(Backend):
    in_worker = frozenset({"model"})

    def work(self, job, report):
        with open("ran", "a") as ran:
            print(job.key, file=ran)
        report(Progress(1, 2, "steps"))
        print("hello from the job")
        if job.name == "refuse":
            raise EngineError("too long; shorten it")
        if job.name == "die":
            os.kill(os.getpid(), 9)
        resume = Path(job.work) / "resume"
        resume.mkdir(exist_ok=True)
        saved = resume / "step"
        first = not saved.exists()
        saved.write_text("1")
        if job.name == "wait" and first:
            while not os.path.exists("go"):
                time.sleep(0.01)
        saved.unlink()
        resume.rmdir()
        (Path(job.work) / "weights").write_text(job.key)
        return Made(job.key, {"first": first})


registry.get = lambda name, prices=None: Toy()
'''

HOST = """
import asyncio, sys
from pathlib import Path
from tests.executors.test_slurm import job, one
asyncio.run(one(job(sys.argv[2], sys.argv[1])))
"""


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(BACKEND)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/site{os.pathsep}{ROOT}")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


def job(name: str, key: str = "a") -> StageJob:
    key = key * 32 if len(key) == 1 else key
    return StageJob("model", "embedded", key, name, None, f"artifacts/work/{key}")


def slurm(**more: Any) -> ClusterJobs:
    tables = {"slurm": more.pop("options", {})}
    return ClusterJobs(
        ArtifactStore(),
        lambda name, place: cluster_of(name, place, tables),
        {},
        **{"interval": 0.1, "lag": 0.5, "sends_to": "slurm", **more},
    )


async def one(
    wanted: StageJob, told: Callable[[Progress], None] = lambda p: None, **more: Any
) -> Made:
    """A job's result, as a run of its own gets it."""
    executor = slurm(**more)
    try:
        return await executor.run(wanted, Path("artifacts/logs/x.log"), told)
    finally:
        await executor.close()


def result(wanted: StageJob, **more: Any) -> Made:
    return asyncio.run(one(wanted, **more))


def ran() -> list[str]:
    try:
        return Path("ran").read_text().split()
    except FileNotFoundError:
        return []


def folders() -> list[str]:
    return [one.path.name for one in ArtifactStore().jobs]


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def host(name: str, key: str = "a") -> subprocess.Popen[bytes]:
    """A run in a process of its own, to be killed."""
    return subprocess.Popen([sys.executable, "-c", HOST, key, name])


# ---- from submission to result


def test_a_job_is_done_and_its_result_stays_until_it_is_kept(cluster: Cluster) -> None:
    told: list[str] = []
    made = result(job("work"), told=lambda p: told.append(p.note or p.unit))
    assert made.output == "a" * 32
    assert (Path(made.folder) / "weights").read_text() == "a" * 32
    assert made.executor == {"name": "slurm", "id": "1"}
    assert told[0] == "is submitted to Slurm"
    assert "steps" in told
    assert "hello from the job" in Path("artifacts/logs/x.log").read_text()
    again = result(job("work"))  # a run that was killed before it kept the result
    assert (again.output, cluster.jobs, ran()) == (made.output, 1, ["a" * 32])
    ArtifactStore().jobs.forget("a" * 32)
    assert folders() == []


def test_what_the_job_raised_is_raised_and_the_next_run_begins_anew(
    cluster: Cluster,
) -> None:
    with pytest.raises(EngineError, match="too long; shorten it") as caught:
        result(job("refuse"))
    assert caught.value.log == "artifacts/logs/x.log"
    assert folders() == []
    assert result(job("work")).output == "a" * 32
    assert cluster.jobs == 2


def test_options_become_those_of_sbatch_by_kind(cluster: Cluster) -> None:
    table = {
        "partition": "gpu",
        "time": "60",
        "setup": ["export FROM_SETUP=1"],
        "model": {"time": "8:00:00", "gres": "gpu:1"},
    }
    result(job("work"), options=table)
    words = (cluster.folder / "job1/words").read_text().splitlines()
    assert {"--partition=gpu", "--time=8:00:00", "--gres=gpu:1"} <= {*words}
    assert f"--job-name=motools-{'a' * 32}-a1" in words
    assert "export FROM_SETUP=1" in (cluster.folder / "job1/script").read_text()


def test_secrets_are_in_no_file(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecretkey12345678")
    result(job("work"))
    files = [path for path in Path().rglob("*") if path.is_file()]
    files += [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if b"verysecret" in path.read_bytes()]


def test_all_jobs_share_one_listing(cluster: Cluster) -> None:
    async def many() -> int:
        queue = Queue(cluster_of("slurm").listing, "Slurm", interval=1000.0)
        waiting = [asyncio.create_task(queue.next()) for _ in range(200)]
        await asyncio.gather(*waiting)
        await queue.close()
        return cluster.calls("squeue")

    assert asyncio.run(many()) == 1


# ---- deaths of the run


def test_a_run_that_dies_in_mid_submission_submits_nothing_twice(
    cluster: Cluster,
) -> None:
    cluster.set("slow")
    first = host("work")
    until(lambda: cluster.jobs)
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = host("work")  # waits for the sbatch of the first
    until(lambda: cluster.state(1) == "COMPLETED")
    cluster.unset("slow")
    assert second.wait(timeout=60) == 0
    assert (cluster.jobs, ran()) == (1, ["a" * 32])


def test_a_lost_answer_is_looked_for(cluster: Cluster) -> None:
    cluster.set("lose")
    assert result(job("work")).output == "a" * 32
    assert (cluster.jobs, ran()) == (1, ["a" * 32])


def test_a_storm_of_kills_does_each_job_once(cluster: Cluster) -> None:
    moments = random.Random(7)
    began = time.monotonic()
    host("work", "f").wait()
    span = time.monotonic() - began
    for number in range(KILLS):
        key = f"{number:032x}"
        if moments.random() < 0.3:
            cluster.set("lose")
        for _ in range(3):
            killed = host("work", key)
            time.sleep(moments.uniform(0, span))
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        assert result(job("work", key)).output == key
        ArtifactStore().jobs.forget(key)
    assert sorted(ran()) == sorted(["f" * 32, *(f"{n:032x}" for n in range(KILLS))])


def test_a_run_that_does_not_wait_leaves_its_job_to_the_next(cluster: Cluster) -> None:
    cluster.set("hold")
    with pytest.raises(
        Deferred, match="submitted to Slurm as 1, and not awaited"
    ) as it:
        result(job("work"), wait=False)
    assert it.value.under_way
    with pytest.raises(Deferred, match="Slurm job 1 is pending"):
        result(job("work"), wait=False)
    cluster.unset("hold")
    executor = slurm(sends_to="")  # executor=here takes up what is there, nothing else
    assert executor.takes(job("work"))
    assert not executor.takes(job("work", "b"))
    assert result(job("work"), sends_to="").output == "a" * 32
    assert cluster.jobs == 1


# ---- what happens at the cluster


def test_a_controller_that_is_down_never_means_that_a_job_is_gone(
    cluster: Cluster,
) -> None:
    told: list[str] = []

    async def story() -> Made:
        task = asyncio.create_task(one(job("wait"), lambda p: told.append(p.note)))
        await asyncio.to_thread(until, lambda: "is running" in " ".join(told))
        cluster.set("down")
        await asyncio.to_thread(until, lambda: "does not answer" in told[-1])
        Path("go").touch()  # the job ends while Slurm cannot be asked
        return await task

    assert asyncio.run(story()).output == "a" * 32
    assert ran() == ["a" * 32]


def test_nothing_is_submitted_while_the_controller_is_down(cluster: Cluster) -> None:
    cluster.set("down")

    async def story() -> Made:
        told: list[str] = []
        task = asyncio.create_task(one(job("work"), lambda p: told.append(p.note)))
        await asyncio.to_thread(until, lambda: len(told) > 2)
        cluster.unset("down")
        return await task

    assert asyncio.run(story()).output == "a" * 32
    assert cluster.jobs == 1


def test_a_requeued_job_goes_on_from_what_it_saved(cluster: Cluster) -> None:
    async def story() -> Made:
        task = asyncio.create_task(one(job("wait")))
        saved = Path(f"artifacts/jobs/{'a' * 32}-a1/work/resume/step")
        await asyncio.to_thread(until, saved.exists)
        cluster.requeue(1)
        return await task

    made = asyncio.run(story())
    assert made.details == {"first": False}
    assert (cluster.jobs, len(ran())) == (1, 2)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("TIMEOUT", r'reached its time limit \(5\): ask for more, time = "..." in '),
        ("OUT_OF_MEMORY", r"needed more memory .* memory = "),
        ("NODE_FAIL", "the node of Slurm job 1 failed"),
        ("CANCELLED", "was cancelled"),
        ("FAILED", r"without a result \(it is failed\)"),
    ],
)
def test_how_a_job_ended_is_told_and_the_next_goes_on(
    cluster: Cluster, state: str, said: str
) -> None:
    async def story() -> None:
        task = asyncio.create_task(one(job("wait"), options={"time": "5"}))
        saved = Path(f"artifacts/jobs/{'a' * 32}-a1/work/resume/step")
        await asyncio.to_thread(until, saved.exists)
        cluster.end(1, state)
        await task

    with pytest.raises(StageFailed, match=said):
        asyncio.run(story())
    assert folders() == []
    made = result(job("wait"))
    assert made.details == {"first": False}


def test_a_job_that_slurm_forgot_has_ended(cluster: Cluster) -> None:
    async def story() -> None:
        task = asyncio.create_task(one(job("die")))
        await asyncio.to_thread(cluster.until, 1, "FAILED")
        (cluster.folder / "job1/forgotten").touch()
        await task

    with pytest.raises(StageFailed, match="does not know it any more"):
        asyncio.run(story())


def test_a_second_job_of_the_same_folder_does_nothing(cluster: Cluster) -> None:
    made = result(job("work"))
    script = (cluster.folder / "job1/script").read_text()
    subprocess.run(["bash", "-c", script], check=True)
    assert ran() == ["a" * 32]
    ArtifactStore().jobs.forget("a" * 32)
    subprocess.run(["bash", "-c", script], check=True)  # and with the folder gone
    assert ran() == ["a" * 32]
    assert made.output == "a" * 32


def test_what_slurm_refuses_is_told_and_nothing_stays(cluster: Cluster) -> None:
    cluster.set("refuse", text="sbatch: error: invalid partition specified: gpuu")
    with pytest.raises(Refused, match="invalid partition specified: gpuu"):
        result(job("work"))
    assert folders() == []


def test_while_the_limit_of_jobs_is_reached_one_tries_again(cluster: Cluster) -> None:
    cluster.set("refuse", text="sbatch: error: QOSMaxSubmitJobPerUserLimit")

    async def story() -> list[str]:
        told: dict[str, list[str]] = {key: [] for key in "abcdefgh"}
        executor = slurm(full=0.2)
        log = Path("artifacts/logs/x.log")

        async def run(key: str) -> Made:
            def report(progress: Progress) -> None:
                told[key].append(progress.note)

            return await executor.run(job("work", key), log, report)

        runs = [asyncio.create_task(run(key)) for key in told]
        await asyncio.to_thread(until, lambda: cluster.calls("sbatch") >= 3)
        tried = [key for key, notes in told.items() if notes]
        assert len(tried) == 1  # the others do not ask for the same answer
        assert "waits for its turn" in " ".join(told[tried[0]])
        cluster.unset("refuse")
        made = await asyncio.gather(*runs)
        await executor.close()
        return [one.output[0] for one in made]

    assert asyncio.run(story()) == [*"abcdefgh"]
    assert cluster.jobs == 8


def test_a_listing_that_cannot_be_read_is_no_answer() -> None:
    def broken() -> dict[str, Listed]:
        raise RuntimeError("a page of something else")

    async def story() -> str:
        queue = Queue(broken, "Slurm", 0.1)
        seen = await queue.next()
        again = await queue.next()
        await queue.close()
        return seen.error + again.error

    assert asyncio.run(story()).count("Slurm's list of jobs cannot be read") == 2


def test_a_machine_without_slurm_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Refused, match=r"sbatch is not installed .* executor=here"):
        result(job("work"), wait=False)


def test_a_cancelled_stage_is_not_submitted(cluster: Cluster) -> None:
    def forbidden(name: str, key: str) -> None:
        raise Refused(f"{name} was cancelled")

    with pytest.raises(Refused, match="was cancelled"):
        result(job("work"), check=forbidden)
    assert (cluster.jobs, folders()) == (0, [])


def test_a_folder_is_whole_or_not_there() -> None:
    jobs = ArtifactStore().jobs
    made = jobs.create("b" * 32, 2, {"uses": ["c" * 32]}, {})
    assert (made.attempt, made.key, jobs.keys()) == (2, "b" * 32, {"b" * 32, "c" * 32})
    half = jobs.folder / ".b-half"
    half.mkdir()
    assert jobs.leftovers({"b" * 32}) == [half, made.path]
    assert jobs.leftovers(set()) == [half]
    assert json.loads((made.path / "job.json").read_text())["format"] == 1
    assert replace(made).order["uses"] == ["c" * 32]
