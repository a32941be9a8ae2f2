"""The executor `ray` with a real Ray on this machine's loopback.

    python -m venv /tmp/ray && /tmp/ray/bin/pip install 'ray[default]'
    MOTOOLS_RAY=/tmp/ray/bin/ray pytest -m ray            # some minutes

Without MOTOOLS_RAY, the `ray` on PATH is used. The tests start heads of their own, on
ports that are free, and end those alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.job import Made
from motools_build.errors import StageFailed
from motools_build.running.executors.cluster import Listed
from motools_build.running.executors.jobs import ClusterJobs
from motools_build.running.executors.ray import Ray
from motools_build.store.artifacts import ArtifactStore
from tests.conftest import ROOT, Project
from tests.executors.conftest import OF_USERS
from tests.executors.ray_head import Head, kill, parent, running, until
from tests.executors.test_commands import CARRIED
from tests.executors.toy import BACKEND, USED, job, ran, result, while_saved

pytestmark = [pytest.mark.ray, pytest.mark.real_process]


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    made = Head(2)
    yield made
    made.close()


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The table of a Ray that does the jobs of `toy.py`, in a folder of theirs."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(BACKEND)
    path = f"{tmp_path}/site{os.pathsep}{ROOT}"
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv(USED, "ray")
    for name in OF_USERS:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return {"setup": [f"export PYTHONPATH={path}"]}


@pytest.fixture
def at_head(
    head: Head, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The options of the module's head."""
    monkeypatch.setenv("RAY_ADDRESS", head.address)
    return options


def test_a_training_that_was_killed_is_done_again_with_the_same_weights(
    project: Project, head: Head
) -> None:
    project.dataset("tiny", rows=16)
    project.setting(
        "tiny",
        models='["embedded/smollm2-135m-instruct"]',
        training="Training(epochs=2, batch_size=4)",
    )
    folders = project.root / "artifacts/jobs"
    words = ("run", "model:tiny/*", "executor=ray")
    run = project.start(*words, RAY_ADDRESS=head.address)
    until(
        lambda: any(
            '"steps"' in path.read_text() for path in folders.glob("*/messages.jsonl")
        ),
        400,
    )
    (worker, *_) = running(str(folders))
    os.killpg(os.getpgid(worker), signal.SIGKILL)
    out, err = run.communicate(timeout=400)
    assert run.returncode != 0, out + err
    assert "ended without a result (it failed" in out
    out = project.doit(*words, RAY_ADDRESS=head.address).out
    (at_cluster,) = project.records("model").values()
    assert at_cluster["made"]["executor"]["name"] == "ray"
    project.doit("run", "-a", "model:tiny/*")
    (here,) = project.records("model").values()
    assert here["payload"] == at_cluster["payload"]


def test_a_job_stopped_by_hand_is_told_and_the_next_run_goes_on(
    head: Head, at_head: dict[str, Any]
) -> None:
    def stop() -> None:
        (id,) = (
            each["submission_id"] for each in head.jobs() if each["status"] == "RUNNING"
        )
        head.ask(f"/api/jobs/{id}/stop", nothing="")

    with pytest.raises(StageFailed, match=r"was stopped \(doit cancel, ray job stop"):
        asyncio.run(while_saved(stop, options=at_head))
    made = result(job("wait"), options=at_head)
    assert (made.details, ran()) == ({"first": False}, ["a" * 32] * 2)


def test_a_machine_that_died_is_told_and_the_next_run_goes_on(
    head: Head, at_head: dict[str, Any]
) -> None:
    def anew() -> None:
        head.kill()
        kill(running(str(Path.cwd() / "artifacts")))
        head.start()

    with pytest.raises(StageFailed, match="its head was started anew"):
        asyncio.run(while_saved(anew, options=at_head))
    made = result(job("wait"), options=at_head)
    assert (made.details, ran()) == ({"first": False}, ["a" * 32] * 2)


def test_a_job_that_outlives_its_head_is_waited_for(
    head: Head, at_head: dict[str, Any]
) -> None:
    """Ray kills the shell of a job, and not what the shell has started."""

    def anew() -> None:
        head.kill()
        head.start()
        assert head.jobs() == []
        Path("go").touch()

    made = asyncio.run(while_saved(anew, options=at_head))
    assert (made.details, ran()) == ({"first": True}, ["a" * 32])


def test_an_actor_that_died_is_told(head: Head, at_head: dict[str, Any]) -> None:
    def die() -> None:
        (process, *_) = running(str(Path.cwd() / "artifacts"))
        while b"ray::" not in Path(f"/proc/{process}/cmdline").read_bytes():
            process = parent(process)
        kill([process])

    with pytest.raises(StageFailed, match="Job supervisor actor died"):
        asyncio.run(while_saved(die, options=at_head))
    assert result(job("wait"), options=at_head).details == {"first": False}


def test_100_jobs_share_fewer_than_30_listings_a_minute(
    at_head: dict[str, Any],
) -> None:
    keys = [f"{number:032x}" for number in range(100)]
    made, listings, minutes = _many(keys, {**at_head, "cpus": 0.25})
    assert {each.output for each in made} == {*keys}
    assert sorted(ran()) == keys
    assert listings / minutes < 30
    print(f"{listings} listings in {minutes:.1f} min")


def test_a_queue_longer_than_ray_lets_jobs_wait_is_done_once(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    head = Head(1, RAY_JOB_START_TIMEOUT_SECONDS="15")
    try:
        monkeypatch.setenv("RAY_ADDRESS", head.address)
        options["setup"].append("sleep 4")
        keys = [f"{number:032x}" for number in range(8)]
        told: list[str] = []
        made, _, minutes = _many(keys, options, told.append)
        assert {each.output for each in made} == {*keys}
        assert sorted(ran()) == keys
        again = [note for note in told if "is submitted again" in note]
        assert again
        assert len(head.jobs()) == len(keys)
        print(f"{len(again)} submitted again, in {minutes:.1f} min")
    finally:
        head.close()


def test_nodes_that_see_nothing_of_the_runs_disk_make_the_same_weights(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if os.geteuid():
        pytest.skip("hiding a folder from the nodes needs root")
    bucket = tmp_path_factory.mktemp("bucket")
    with (project.root / "pyproject.toml").open("a") as file:
        file.write(CARRIED.format(store=bucket, python=sys.executable))
    project.dataset("tiny", rows=8)
    project.setting("tiny", models='["embedded/smollm2-135m-instruct"]')
    head = Head(1, hidden=project.root)
    try:
        words = ("run", "model:tiny/*", "executor=ray")
        project.doit(*words, RAY_ADDRESS=head.address)
    finally:
        head.close()
    (there,) = project.records("model").values()
    assert there["made"]["executor"]["name"] == "ray"
    project.doit("run", "-a", "model:tiny/*", "executor=here")
    (here,) = project.records("model").values()
    assert here["payload"] == there["payload"]


def _many(
    keys: list[str],
    options: Mapping[str, Any],
    told: Callable[[str], object] = lambda note: None,
) -> tuple[list[Made], int, float]:
    """The results of a run's jobs, the number of its listings, and its minutes."""
    asked: list[float] = []

    class Counted(Ray):
        def listing(self) -> Mapping[str, Listed]:
            asked.append(time.monotonic())
            return super().listing()

    async def main() -> list[Made]:
        executor = ClusterJobs(
            ArtifactStore(),
            lambda name, place: Counted(options, place),
            {},
            sends_to="ray",
        )
        log = Path("artifacts/logs/x.log")
        runs = (
            executor.run(job("work", key), log, lambda p: told(p.note)) for key in keys
        )
        try:
            return await asyncio.gather(*runs)
        finally:
            await executor.close()

    began = time.monotonic()
    made = asyncio.run(main())
    return made, len(asked), (time.monotonic() - began) / 60
