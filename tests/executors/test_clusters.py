"""Jobs at a cluster, each done once, whatever dies meanwhile: at a Slurm and at a Ray
of the tests, and at a Ray whose nodes share no disk with the run."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from motools_build.backends.job import Made
from motools_build.errors import Deferred, EngineError, Refused, StageFailed
from motools_build.running.executors.cluster import Listed
from motools_build.running.executors.queue import Queue
from motools_build.running.executors.registry import cluster_of
from motools_build.store.artifacts import ArtifactStore
from tests.executors.ray_server import until
from tests.executors.toy import (
    AnyCluster,
    folders,
    host,
    job,
    one,
    place,
    ran,
    result,
    runs,
    while_saved,
)

pytestmark = [pytest.mark.real_process, pytest.mark.usefixtures("toy")]

KILLS = int(os.environ.get("MOTOOLS_KILLS", "3"))


# ---- from submission to result


def test_a_job_is_done_and_its_result_stays_until_it_is_kept(
    cluster: AnyCluster,
) -> None:
    told: list[str] = []
    made = result(job("work"), told=lambda p: told.append(p.note or p.unit))
    assert made.output == "a" * 32
    assert (Path(made.folder) / "weights").read_text() == "a" * 32
    assert made.executor == {"name": cluster.name, "id": cluster.id(1)}
    assert told[0] == f"is submitted to {cluster.label}"
    assert "steps" in told
    assert "hello from the job" in Path("artifacts/logs/x.log").read_text()
    again = result(job("work"))  # a run that was killed before it kept the result
    assert (again.output, cluster.jobs, ran()) == (made.output, 1, ["a" * 32])
    ArtifactStore().jobs.forget("a" * 32)
    assert folders() == []


def test_what_the_job_raised_is_raised_and_the_next_run_begins_anew(
    cluster: AnyCluster,
) -> None:
    with pytest.raises(EngineError, match="too long; shorten it") as caught:
        result(job("refuse"))
    assert caught.value.log == "artifacts/logs/x.log"
    assert folders() == []
    assert result(job("work")).output == "a" * 32
    assert cluster.jobs == 2


def test_secrets_are_in_no_file(
    cluster: AnyCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecretkey12345678")
    result(job("work"))
    files = [path for path in Path().rglob("*") if path.is_file()]
    kept = [*(path.read_bytes() for path in files), *cluster.kept()]
    assert len(kept) > 10
    assert not [data for data in kept if b"verysecret" in data]


def test_all_jobs_share_one_listing(cluster: AnyCluster) -> None:
    async def many() -> int:
        queue = Queue(cluster_of(cluster.name).listing, cluster.label, 1000.0)
        waiting = [asyncio.create_task(queue.next()) for _ in range(200)]
        await asyncio.gather(*waiting)
        await queue.close()
        return cluster.listings

    assert asyncio.run(many()) == 1


# ---- deaths of the run


def test_a_run_that_dies_in_mid_submission_submits_nothing_twice(
    cluster: AnyCluster,
) -> None:
    cluster.set("slow")
    first = host("work")
    until(lambda: cluster.jobs)
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = host("work")  # waits for the sbatch of the first, or finds its job
    until(lambda: cluster.state(1) == cluster.done)
    cluster.unset("slow")
    assert second.wait(timeout=60) == 0
    assert (cluster.jobs, ran()) == (1, ["a" * 32])


def test_a_lost_answer_is_looked_for(cluster: AnyCluster) -> None:
    cluster.set("lose")
    assert result(job("work")).output == "a" * 32
    assert (cluster.jobs, ran()) == (1, ["a" * 32])


def test_a_storm_of_kills_does_each_job_once(cluster: AnyCluster) -> None:
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


def test_a_run_that_does_not_wait_leaves_its_job_to_the_next(
    cluster: AnyCluster,
) -> None:
    cluster.set("hold")
    with pytest.raises(Deferred) as it:
        result(job("work"), wait=False)
    id = cluster.id(1)
    assert f"submitted to {cluster.label} as {id}, and not awaited" in str(it.value)
    assert it.value.under_way
    with pytest.raises(Deferred, match=f"^pending.*{cluster.label} job {id}"):
        result(job("work"), wait=False)
    cluster.unset("hold")
    executor = runs(sends_to="")  # executor=here takes up what is there, nothing else
    assert executor.takes(job("work"))
    assert not executor.takes(job("work", "b"))
    assert result(job("work"), sends_to="").output == "a" * 32
    assert cluster.jobs == 1


# ---- what happens at the cluster


def test_a_cluster_that_is_down_never_means_that_a_job_is_gone(
    cluster: AnyCluster,
) -> None:
    told: list[str] = []

    async def story() -> Made:
        task = asyncio.create_task(one(job("wait"), lambda p: told.append(p.note)))
        await asyncio.to_thread(until, lambda: "running" in " ".join(told))
        cluster.set("down")
        await asyncio.to_thread(until, lambda: "does not answer" in told[-1])
        place("go").touch()  # the job ends while its cluster cannot be asked
        return await task

    assert asyncio.run(story()).output == "a" * 32
    assert ran() == ["a" * 32]


def test_nothing_is_submitted_while_the_cluster_is_down(cluster: AnyCluster) -> None:
    cluster.set("down")

    async def story() -> Made:
        told: list[str] = []
        task = asyncio.create_task(one(job("work"), lambda p: told.append(p.note)))
        await asyncio.to_thread(until, lambda: len(told) > 2)
        cluster.unset("down")
        return await task

    assert asyncio.run(story()).output == "a" * 32
    assert cluster.jobs == 1


def test_a_job_that_its_cluster_forgot_has_ended(cluster: AnyCluster) -> None:
    async def story() -> None:
        task = asyncio.create_task(one(job("die")))
        await asyncio.to_thread(cluster.until, 1, "FAILED")
        cluster.forget(1)
        await task

    with pytest.raises(StageFailed, match=r"does not\s+know it any more"):
        asyncio.run(story())
    assert result(job("work")).output == "a" * 32
    assert cluster.jobs == 2


def test_a_second_job_of_the_same_folder_does_nothing(cluster: AnyCluster) -> None:
    made = result(job("work"))
    cluster.again(1)
    assert ran() == ["a" * 32]
    ArtifactStore().jobs.forget("a" * 32)
    cluster.again(1)  # and with the folder gone
    assert ran() == ["a" * 32]
    assert made.output == "a" * 32


def test_what_the_cluster_refuses_is_told_and_nothing_stays(
    cluster: AnyCluster,
) -> None:
    cluster.set("refuse", text="sbatch: error: invalid partition specified: gpuu")
    with pytest.raises(Refused, match="invalid partition specified: gpuu"):
        result(job("work"))
    assert folders() == []


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


def test_a_cancelled_stage_is_not_submitted(cluster: AnyCluster) -> None:
    def forbidden(name: str, key: str) -> None:
        raise Refused(f"{name} was cancelled")

    with pytest.raises(Refused, match="was cancelled"):
        result(job("work"), check=forbidden)
    assert (cluster.jobs, folders()) == (0, [])


@pytest.mark.parametrize("closed", [False, True])
def test_a_job_that_is_cancelled_before_its_submission_is_not_submitted(
    cluster: AnyCluster, closed: bool
) -> None:
    def cancelling(name: str, key: str) -> None:
        for folder in ArtifactStore().jobs:
            folder.cancel()
            if closed:
                ArtifactStore().jobs.close(folder)

    with pytest.raises(StageFailed, match=r"\(doit cancel\) before it was submitted"):
        result(job("work"), check=cancelling)
    assert (cluster.jobs, folders()) == (0, [])
    assert result(job("work")).output == "a" * 32


def test_a_run_does_not_wait_for_a_queued_job_that_was_cancelled(
    cluster: AnyCluster,
) -> None:
    cluster.set("hold")

    async def story() -> None:
        task = asyncio.create_task(one(job("work")))
        await asyncio.to_thread(cluster.until, 1, "PENDING")
        folder = ArtifactStore().jobs.of("a" * 32)
        assert folder is not None
        await asyncio.to_thread(until, lambda: folder.id)
        folder.cancel()
        with pytest.raises(
            StageFailed, match=r"was cancelled \(doit cancel\); the next"
        ):
            await task

    asyncio.run(story())
    cluster.unset("hold")
    # there is neither a folder nor a script any more
    until(lambda: cluster.state(1) in (cluster.done, "FAILED"))
    assert (folders(), ran()) == ([], [])


def test_a_queued_job_that_was_cancelled_before_the_run_began_is_not_awaited(
    cluster: AnyCluster,
) -> None:
    cluster.set("hold")
    with pytest.raises(Deferred):
        result(job("work"), wait=False)
    for folder in ArtifactStore().jobs:
        folder.cancel()
    with pytest.raises(StageFailed, match=r"was cancelled \(doit cancel\)"):
        result(job("work"))
    cluster.unset("hold")
    assert result(job("work")).output == "a" * 32
    assert ran() == ["a" * 32]


def test_a_folder_is_whole_or_not_there() -> None:
    jobs = ArtifactStore().jobs
    made = jobs.create("b" * 32, 2, {"uses": ["c" * 32]}, {})
    assert (made.attempt, made.key, jobs.keys()) == (2, "b" * 32, {"b" * 32, "c" * 32})
    half, own = jobs.folder / ".b-half", jobs.folder / ".c-half"
    half.mkdir()
    own.mkdir()
    made.work.mkdir()
    assert jobs.leftovers("c".__eq__) == [half]
    made.finish(b'{"done": 1}')
    assert jobs.leftovers("c".__eq__) == [half]  # a run may take the result up
    made.work.rmdir()
    assert jobs.leftovers("c".__eq__) == [half, made.path]
    assert jobs.leftovers(lambda key: True) == []
    assert json.loads((made.path / "job.json").read_text())["format"] == 1
    assert replace(made).order["uses"] == ["c" * 32]


def test_a_job_that_is_ended_by_hand_is_told_and_the_next_run_goes_on(
    cluster: AnyCluster,
) -> None:
    def stop() -> None:
        cluster_of(cluster.name).cancel(cluster.id(1))

    with pytest.raises(StageFailed, match=r"was (cancelled|stopped) \(doit cancel"):
        asyncio.run(while_saved(stop))
    assert folders() == []
    assert result(job("wait")).details == {"first": False}
    assert (cluster.jobs, len(ran())) == (2, 2)
