"""What is Slurm's alone at the executor `slurm`; `test_clusters` has what all clusters
share."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from motools_build.backends.job import Made, Progress
from motools_build.errors import Refused, StageFailed
from motools_build.running.executors.slurm_commands import _listed
from tests.executors.cluster import Cluster
from tests.executors.ray_server import until
from tests.executors.toy import folders, job, ran, result, runs, while_saved

pytestmark = [pytest.mark.real_process, pytest.mark.usefixtures("toy")]


@pytest.fixture
def cluster(slurm: Cluster) -> Cluster:
    return slurm


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


def test_a_requeued_job_goes_on_from_what_it_saved(cluster: Cluster) -> None:
    made = asyncio.run(while_saved(lambda: cluster.requeue(1)))
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
    with pytest.raises(StageFailed, match=said):
        asyncio.run(while_saved(lambda: cluster.end(1, state), options={"time": "5"}))
    assert folders() == []
    made = result(job("wait"))
    assert made.details == {"first": False}


def test_while_the_limit_of_jobs_is_reached_one_tries_again(cluster: Cluster) -> None:
    cluster.set("refuse", text="sbatch: error: QOSMaxSubmitJobPerUserLimit")

    async def story() -> list[str]:
        told: dict[str, list[str]] = {key: [] for key in "abcdefgh"}
        executor = runs(full=0.2)
        log = Path("artifacts/logs/x.log")

        async def of(key: str) -> Made:
            def report(progress: Progress) -> None:
                told[key].append(progress.note)

            return await executor.run(job("work", key), log, report)

        waiting = [asyncio.create_task(of(key)) for key in told]
        await asyncio.to_thread(until, lambda: cluster.calls("sbatch") >= 6)
        notes = {key: " ".join(said) for key, said in told.items()}
        # eight, four, two, one; then the one again: the others do not ask for the same
        assert sum("waits for its turn" in said for said in notes.values()) == 1
        cluster.unset("refuse")
        made = await asyncio.gather(*waiting)
        await executor.close()
        return [one.output[0] for one in made]

    assert asyncio.run(story()) == [*"abcdefgh"]
    assert cluster.jobs == 8


def test_a_machine_without_slurm_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Refused, match=r"sbatch is not installed .* executor=here"):
        result(job("work"), wait=False)


def test_when_slurm_expects_to_begin_a_job_is_told() -> None:
    def told(start: str, state: str = "PENDING") -> str:
        return _listed("7_1", state, "Priority", "", start).in_words("Slurm")

    today = time.strftime("%Y-%m-%d")
    assert told("N/A") == "pending (Priority), Slurm job 7_1"
    said = "pending until about 20:30 (Priority), Slurm job 7_1"
    assert told(f"{today}T20:30:09") == said
    assert told("2099-12-01T08:00:00").startswith(
        "pending until about 2099-12-01 08:00"
    )
    assert "until" not in told(f"{today}T20:30:09", "RUNNING")


def test_what_a_script_printed_stays_in_the_log(cluster: Cluster) -> None:
    setup = ["echo no module cuda", "exit 3"]
    with pytest.raises(StageFailed, match="said last: no module cuda") as it:
        result(job("work"), options={"setup": setup})
    assert it.value.log
    assert "no module cuda" in Path(it.value.log).read_text()
    assert not [*Path("artifacts/jobs").iterdir()]
