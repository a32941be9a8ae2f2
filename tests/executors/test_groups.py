"""Evals of one base model that one job does in turn: each has its own result, and loses
nothing by the others."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from motools_build.errors import StageFailed
from motools_build.project.cancelling import cancel_job
from motools_build.running.executors.cluster import AGAIN
from motools_build.running.executors.grouping import grouped
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.jobs import JobFolder
from tests.executors.cluster import Cluster
from tests.executors.ray_server import until
from tests.executors.test_arrays import full, host, many, outputs
from tests.executors.toy import USED, AnyCluster, folders, ran

pytestmark = [pytest.mark.real_process, pytest.mark.usefixtures("toy")]


@pytest.fixture(params=["slurm", "ray"])
def cluster(request: pytest.FixtureRequest) -> AnyCluster:
    """A cluster whose nodes share this machine's disk: elsewhere, each eval is a
    job."""
    found: AnyCluster = request.getfixturevalue(request.param)
    return found


def evals(keys: str, name: str = "work", **more: Any) -> list[Any]:
    return asyncio.run(many(name, keys, kind="eval", **more))


def prepared() -> list[str]:
    """The number of the process of each job that was begun."""
    return Path("prepared").read_text().split()


def folder(key: str) -> JobFolder:
    return JobFolder(Path(f"artifacts/jobs/{full(key)}-a1"))


def cancel(key: str) -> tuple[bool, str]:
    project: Any = SimpleNamespace(
        store=ArtifactStore(), config=SimpleNamespace(executor={})
    )
    return cancel_job(full(key), project)


async def meanwhile(act: Callable[[], object], keys: str, **more: Any) -> list[Any]:
    """The outcomes of evals that wait for the file `go`, after something was done while
    the first of them is at work."""
    task = asyncio.create_task(many("wait", keys, kind="eval", **more))
    saved = folder(keys[0]).work / "resume/step"
    await asyncio.to_thread(until, saved.exists)
    await asyncio.to_thread(act)
    return await task


def go() -> None:
    Path("go").touch()


def test_evals_of_one_base_are_done_in_turn_by_few_workers(cluster: AnyCluster) -> None:
    made = evals("abcdef")
    assert outputs(made) == "abcdef"
    assert sorted(ran()) == [full(key) for key in "abcdef"]
    assert cluster.jobs == 2
    assert [len({*prepared()}), len(prepared())] == [2, 6]
    assert len({one.executor["id"] for one in made}) == 2
    for key, one in zip("abcdef", made, strict=True):
        assert (Path(one.folder) / "weights").read_text() == full(key)
        ArtifactStore().jobs.forget(full(key))
    assert folders() == []


def test_one_at_a_time_and_trainings_are_jobs_of_their_own(cluster: AnyCluster) -> None:
    assert outputs(evals("abc", options={"together": 1})) == "abc"
    assert outputs(asyncio.run(many("work", "def"))) == "def"
    assert cluster.jobs == 6


def test_groups_are_about_equally_large() -> None:
    jobs = [(n, "a") for n in range(9)] + [(9, None), (10, "b"), (11, None)]
    found = grouped(jobs, 4)
    assert found[:2] == [[9], [11]]
    assert found[2:] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [10]]
    assert grouped(jobs[:3], 1) == [[0], [1], [2]]


def test_one_that_dies_fails_and_the_others_are_done(cluster: AnyCluster) -> None:
    made = evals("aBc", options={"together": 3})
    failed = made.pop(1)
    assert isinstance(failed, StageFailed)
    assert "ended without a result" in str(failed)
    assert outputs(made) == "ac"
    assert sorted(ran()) == [full(key) for key in "abc"]


def test_what_breaks_before_the_work_fails_all_of_them(cluster: AnyCluster) -> None:
    made = evals("abc", options={"setup": ["echo no such module", "exit 3"]})
    assert all(isinstance(one, StageFailed) for one in made)
    assert all("no such module" in str(one) for one in made)
    assert (cluster.jobs, ran(), folders()) == (1, [], [])


def test_cancel_of_the_one_at_work_leaves_the_others(cluster: AnyCluster) -> None:
    said: list[Any] = []
    locks = ArtifactStore().locks

    def act() -> None:
        with locks.held(full("a")):  # as the run does
            said.append(cancel("a"))
        go()

    made = asyncio.run(meanwhile(act, "abc"))
    assert isinstance(made[0], StageFailed)
    assert "was cancelled (doit cancel)" in str(made[0])
    assert outputs(made[1:]) == "bc"
    assert said == [(True, f"cancelled; {AGAIN}")]
    assert (cluster.jobs, ran()) == (1, [full(key) for key in "abc"])


def test_those_that_wait_are_cancelled_and_the_last_ends_the_job(
    cluster: AnyCluster,
) -> None:
    cluster.set("hold")
    evals("abc", wait=False)
    assert [cancel(key)[0] for key in "ab"] == [True, True]
    assert [path[0] for path in folders()] == ["c"]
    cluster.unset("hold")
    assert outputs(evals("c")) == "c"
    assert (cluster.jobs, ran()) == (1, [full("c")])


@pytest.mark.parametrize("moment", ["between marks", "between IDs"])
def test_a_run_that_dies_loses_and_doubles_nothing(
    cluster: AnyCluster, moment: str
) -> None:
    keys = [full(key) for key in "abc"]
    assert host(moment, *keys, kind="eval").wait() == -signal.SIGKILL
    assert outputs(evals("abc")) == "abc"
    assert sorted(ran()) == keys
    assert cluster.jobs == 1


class TestSlurm:
    """What the cluster does to a job that does several evals."""

    @pytest.fixture
    def cluster(self, slurm: Cluster) -> Cluster:
        return slurm

    @pytest.fixture(autouse=True)
    def used(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(USED, "slurm")

    def test_groups_are_tasks_of_one_array(self, cluster: Cluster) -> None:
        assert outputs(evals("abcdef")) == "abcdef"
        assert (cluster.calls("sbatch"), cluster.jobs) == (1, 2)
        words = (cluster.folder / "job1_1/words").read_text().splitlines()
        assert {"--job-name=motools-6-stages", "--array=0-1"} <= {*words}

    def test_a_time_limit_fails_the_one_at_work_alone(self, cluster: Cluster) -> None:
        def act() -> None:
            cluster.end(1, "TIMEOUT")
            go()

        a, *others = asyncio.run(meanwhile(act, "abc"))
        assert isinstance(a, StageFailed)
        assert "while it did 3 stages in turn: ask for more" in str(a)
        assert outputs(others) == "bc"
        assert {one.executor["id"] for one in others} == {"2"}

    def test_one_that_had_less_than_the_whole_time_has_another(
        self, cluster: Cluster
    ) -> None:
        async def story() -> list[Any]:
            task = asyncio.create_task(many("after", "abc", kind="eval"))
            saved = folder("b").work / "resume/step"
            await asyncio.to_thread(until, saved.exists)
            cluster.end(1, "TIMEOUT")
            go()
            return await task

        made = asyncio.run(story())
        assert outputs(made) == "abc"
        assert [one.executor["id"] for one in made] == ["1", "2", "2"]
        assert made[1].details == {"first": False}

    def test_scancel_by_hand_fails_all_that_are_left(self, cluster: Cluster) -> None:
        made = asyncio.run(meanwhile(lambda: cluster.end(1, "CANCELLED"), "abc"))
        assert all(isinstance(one, StageFailed) for one in made)
        assert all("was cancelled" in str(one) for one in made)
        assert cluster.jobs == 1

    def test_a_requeued_job_goes_on_where_it_was(self, cluster: Cluster) -> None:
        def act() -> None:
            cluster.requeue(1)
            go()

        made = asyncio.run(meanwhile(act, "abc"))
        assert outputs(made) == "abc"
        assert [one.details["first"] for one in made] == [False, True, True]
        assert (cluster.jobs, ran()) == (1, [full(key) for key in "aabc"])
