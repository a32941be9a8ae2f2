"""Waits at a cluster come to an end, and what happens to one job is told of no other,
at each kind of cluster."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from motools_build.backends.job import Given, Made, Progress
from motools_build.errors import Ambiguous, Deferred, MotoolsError, StageFailed
from motools_build.keys import digest_file
from motools_build.running.executors import jobs
from motools_build.running.executors.registry import cluster_of
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.jobs import JobFolder
from tests.executors.ray_server import RayServer, until
from tests.executors.toy import (
    STORE,
    AnyCluster,
    folders,
    job,
    one,
    place,
    ran,
    result,
    runs,
)

KILLED = """
import asyncio, os, sys
from motools_build.store.job_folders import JobFolders
from tests.executors.toy import job, one

create, left = JobFolders.create, int(sys.argv[1])

def before(event, given):
    global left
    left -= event in ("os.mkdir", "os.rename")
    if not left:
        os.kill(os.getpid(), 9)

def killed(*given):
    sys.addaudithook(before)
    create(*given)
    os._exit(0)

JobFolders.create = killed
asyncio.run(one(job("wait")))
"""
"""A run that is killed before one of the steps of `JobFolders.create`."""

pytestmark = [pytest.mark.real_process, pytest.mark.usefixtures("toy")]


@pytest.mark.parametrize("wait", [False, True])
def test_submissions_without_an_answer_are_left_to_a_later_run(
    cluster: AnyCluster, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    def deaf(*given: object) -> None:
        raise Ambiguous("no process takes jobs now")

    monkeypatch.setattr(jobs, "SILENCE", 0.3)
    with monkeypatch.context() as patch:
        patch.setattr(type(cluster_of(cluster.name)), "submit", deaf)
        with pytest.raises(Deferred, match=r"takes jobs now; .* not known: run again"):
            result(job("work"), wait=wait)
    assert result(job("work")).output == "a" * 32
    assert cluster.jobs == 1


@pytest.mark.parametrize("cluster", ["slurm", "ray"], indirect=True)
def test_a_run_that_does_not_wait_does_not_wait_for_a_job_that_its_cluster_forgot(
    cluster: AnyCluster,
) -> None:
    async def story() -> Made:
        task = asyncio.create_task(one(job("wait")))
        await asyncio.to_thread(until, place("waits").exists)
        if isinstance(cluster, RayServer):  # its processes have outlived the head
            del cluster.known[cluster.id(1)]
        else:
            cluster.forget(1)
        task.cancel()
        with pytest.raises(Deferred, match="is still at work; run again") as it:
            await asyncio.wait_for(one(job("wait"), wait=False), 60)
        assert it.value.under_way
        place("go").touch()
        return await one(job("wait"))

    assert asyncio.run(story()).output == "a" * 32
    assert (cluster.jobs, ran()) == (1, ["a" * 32])


def test_a_job_that_is_cancelled_just_before_it_is_submitted_is_not_submitted(
    cluster: AnyCluster,
) -> None:
    def cancel(progress: Progress) -> None:
        if progress.note.startswith("is submitted to"):
            for folder in ArtifactStore().jobs:
                folder.cancel()

    with pytest.raises(StageFailed, match=r"\(doit cancel\) before it was submitted"):
        result(job("work"), told=cancel)
    assert (cluster.jobs, ran(), folders()) == (0, [], [])


@pytest.mark.parametrize("cluster", ["carried"], indirect=True)
def test_a_file_that_the_store_refuses_fails_its_own_job(cluster: RayServer) -> None:
    saved = Path("artifacts/work", "a" * 32, "resume/big")
    saved.parent.mkdir(parents=True)
    saved.write_text("x")
    name = f"{digest_file(saved)}-{saved.stat().st_size}"
    Path(os.environ[STORE], "jobs/files", name, "in-the-way").mkdir(parents=True)

    async def story() -> list[Made | BaseException]:
        executor, log = runs(), Path("artifacts/logs/x.log")
        both = [executor.run(job("work", key), log, print) for key in "ab"]
        try:
            return await asyncio.gather(*both, return_exceptions=True)
        finally:
            await executor.close()

    failed, made = asyncio.run(story())
    assert isinstance(failed, MotoolsError)
    assert isinstance(made, Made)


@pytest.mark.parametrize("cluster", ["slurm"], indirect=True)
def test_what_a_job_saved_outlives_a_kill_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = ArtifactStore()
    own = store.root / "work" / ("b" * 32)
    made = store.jobs.create("b" * 32, 1, {"uses": []}, {})
    (made.work / "resume").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(JobFolder, "remove", lambda self: None)
        store.jobs.close(made)
    store.jobs.close(made)
    assert (own / "resume").is_dir()


@pytest.mark.parametrize("cluster", ["slurm", "carried"], indirect=True)
def test_what_was_saved_outlives_a_kill_while_a_jobs_folder_is_made(
    cluster: AnyCluster,
) -> None:
    """The run is killed before each step that creates or renames something."""
    saved = Path("artifacts/work", "a" * 32, "resume/step")
    saved.parent.mkdir(parents=True)
    saved.write_text("1")
    shutil.copytree("artifacts", "before")
    place("go").touch()
    for step in itertools.count(1):
        shutil.rmtree("artifacts")
        shutil.copytree("before", "artifacts")
        command = [sys.executable, "-c", KILLED, str(step)]
        if subprocess.run(command, check=False).returncode == 0:
            break
        assert result(job("wait")).details == {"first": False}, step
    assert cluster.jobs == step - 1 > 3


def test_a_job_that_used_what_was_made_anew_since_is_not_taken_up(
    cluster: AnyCluster,
) -> None:
    before, now = (
        replace(job("work"), given={"model": Given(output, "artifacts/model/m", {})})
        for output in ("old weights", "new weights")
    )
    cluster.set("hold")
    with pytest.raises(Deferred):
        result(before, wait=False)
    with pytest.raises(StageFailed, match=r"other weights .*: doit cancel work, and"):
        result(now)
    assert len(folders()) == 1
    cluster.unset("hold")
    assert result(before).output == "a" * 32
    assert result(now).output == "a" * 32
    assert (cluster.jobs, len(ran())) == (2, 2)
