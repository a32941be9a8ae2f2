"""Jobs of a Ray whose nodes share no disk with the run: what travels through the team's
store, and what is not trusted of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from motools_build.backends.job import Given, StageJob
from motools_build.errors import (
    ArtifactError,
    BaseModelError,
    Deferred,
    Refused,
    StageFailed,
    StoreUnreachable,
)
from motools_build.params import ModelParams, Recipe
from motools_build.running.executors.carrying import files_of, programs
from motools_build.running.executors.registry import cluster_of
from motools_build.running.launch.messages import Request
from motools_build.running.versions import versions
from motools_build.running.worker.carried import _Carrier, _link, _unpacked
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.jobs import JobFolder
from motools_build.store.shared.address import Address
from motools_build.store.shared.objects import Objects
from motools_build.store.shared.parcels import Parcels
from motools_build.store.shared.sweep import sweep
from tests.conftest import Project
from tests.executors.ray_server import RayServer
from tests.executors.test_commands import CARRIED
from tests.executors.toy import STORE, folders, job, ran, result, while_saved

pytestmark = pytest.mark.real_process

TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from asking import scored

@task
def words():
    return Task(json_dataset("words.jsonl"), scorer=scored())
"""

HELPER = """
from inspect_ai.scorer import includes

def scored():
    return includes()
"""

QUESTIONS = """\
{"input": "say yes", "target": "yes"}
{"input": "say no", "target": "no"}
"""


@pytest.fixture
def cluster(carried: RayServer) -> RayServer:
    """The only kind of cluster here, also for the fixture `toy`."""
    return carried


def bucket() -> Path:
    return Path(os.environ[STORE])


def in_store(part: str) -> list[Path]:
    """The objects of jobs in a part of the store."""
    return [path for path in (bucket() / "jobs" / part).rglob("*") if path.is_file()]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def of(project: Project) -> None:
    """Make it a project with one eval, whose code is three files."""
    with (project.root / "pyproject.toml").open("a") as file:
        file.write(CARRIED.format(store=bucket(), python=sys.executable))
    project.write("zoo/evals/words.py", TASK)
    project.write("zoo/evals/asking.py", HELPER)
    project.write("zoo/evals/words.jsonl", QUESTIONS)
    project.dataset("tiny")
    project.setting(
        "tiny", evals='[Eval("zoo/evals/words.py@words")]', controls="False"
    )


def sent(cluster: RayServer, name: str = "work") -> None:
    """Submit a job that waits for a node."""
    cluster.set("hold")
    with pytest.raises(Deferred):
        result(job(name), wait=False)


def test_nodes_need_nothing_of_the_runs_folder(
    toy: None, cluster: RayServer, tmp_path: Path
) -> None:
    sent(cluster)
    (tmp_path / "project").rename(tmp_path / "elsewhere")
    cluster.unset("hold")
    assert result(job("work")).output == "a" * 32
    assert not (tmp_path / "project").exists()
    assert "hello from the job" in Path("artifacts/logs/x.log").read_text()
    assert [in_store(part) for part in ("orders", "out", "kept")] == [[], [], []]


def test_a_damaged_result_is_refused_and_the_job_done_anew(
    toy: None, cluster: RayServer
) -> None:
    sent(cluster)
    cluster.unset("hold")
    cluster.until(1, "SUCCEEDED")
    (weights,) = [path for path in in_store("out") if path.read_bytes() == b"a" * 32]
    flip(weights)
    with pytest.raises(
        ArtifactError, match="weights of a job is damaged in the shared"
    ):
        result(job("work"))
    assert folders() == []
    made = result(job("work"))
    assert (Path(made.folder) / "weights").read_text() == "a" * 32
    assert len(ran()) == 2


def test_a_node_with_another_version_does_nothing(
    toy: None, cluster: RayServer
) -> None:
    sent(cluster)
    (order,) = in_store("orders")
    told = {**json.loads(order.read_text()), "version": "9.9"}
    order.write_text(json.dumps(told))
    cluster.unset("hold")
    with pytest.raises(StageFailed, match=r"the node has motools_build .* run 9\.9"):
        result(job("work"))
    assert ran() == []


def test_a_job_that_cannot_begin_loses_nothing_that_was_saved_before(
    toy: None, cluster: RayServer
) -> None:
    with pytest.raises(StageFailed, match="was stopped"):
        asyncio.run(while_saved(lambda: cluster_of("ray").cancel(cluster.id(1))))
    sent(cluster, "wait")
    (order,) = in_store("orders")
    order.write_text(json.dumps({**json.loads(order.read_text()), "version": "9.9"}))
    cluster.unset("hold")
    with pytest.raises(StageFailed, match=r"the node has motools_build"):
        result(job("wait"))
    assert result(job("wait")).details == {"first": False}


def test_a_damaged_result_loses_nothing_that_was_saved_before(
    toy: None, cluster: RayServer
) -> None:
    with pytest.raises(StageFailed, match="was stopped"):
        asyncio.run(while_saved(lambda: cluster_of("ray").cancel(cluster.id(1))))
    with pytest.raises(Deferred):
        result(job("wait"), wait=False)
    cluster.until(2, "SUCCEEDED")
    for path in in_store("out"):
        if path.parent.name == "files":
            path.unlink()
    with pytest.raises(ArtifactError, match="weights of a job is missing in"):
        result(job("wait"))
    assert result(job("wait")).details == {"first": False}


def test_files_of_any_name_travel(toy: None, cluster: RayServer) -> None:
    work = Path(result(job("names")).folder)
    found = {path.name: path.read_text() for path in work.iterdir()}
    assert found.pop("weights") == "a" * 32
    assert found.pop("empty") == ""
    assert found == {name: name for name in ("a b", "é", "x#1", "new\nline")}


def test_a_store_that_is_away_submits_nothing_and_loses_nothing(
    toy: None, cluster: RayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object) -> None:
        raise StoreUnreachable("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "put", away)
        with pytest.raises(StoreUnreachable, match="is away"):
            result(job("work"))
    assert cluster.jobs == 0
    assert result(job("work")).output == "a" * 32
    assert (cluster.jobs, ran()) == (1, ["a" * 32])


def test_a_cancelled_job_whose_store_is_away_is_taken_up_by_the_next_run(
    project: Project, cluster: RayServer
) -> None:
    of(project)
    cluster.set("hold")
    project.doit("run", "tiny", "executor=ray", "wait=no")
    bucket().rename(bucket().with_name("away"))
    bucket().write_text("no folder")
    out = project.doit("cancel", "tiny").out
    assert "ended; what it saved is fetched by the next run (the shared store" in out
    bucket().unlink()
    bucket().with_name("away").rename(bucket())
    cluster.unset("hold")
    project.doit("run", "tiny", "executor=ray")
    assert [one["status"] for one in project.results("tiny")] == ["ok"]


def test_what_nobody_waits_for_is_swept_after_a_month(
    toy: None, cluster: RayServer
) -> None:
    sent(cluster)
    objects = Objects(Address.parse(str(bucket())))
    assert sweep(objects, [], 90, True).marked == []
    for path in in_store(""):
        os.utime(path, (time.time() - 40 * 86_400,) * 2)
    assert len(sweep(objects, [], 90, True).marked) == len(in_store(""))


def test_a_projects_code_rows_and_models_travel(
    project: Project, cluster: RayServer
) -> None:
    of(project)
    project.doit("run", "tiny", "executor=ray")
    (there,) = project.records("eval").values()
    assert there["made"]["executor"]["name"] == "ray"
    project.doit("run", "-a", "tiny", "executor=here")
    (here,) = project.records("eval").values()
    same = ("key", "inputs", "output")
    assert [here[field] for field in same] == [there[field] for field in same]
    files = [path.read_bytes() for path in in_store("files")]
    assert TASK.encode() in files
    assert HELPER.encode() in files
    assert QUESTIONS.encode() in files


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone"), OSError(28, "full")])
def test_a_copy_of_what_is_saved_that_fails_ends_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def fails(*args: object) -> None:
        raise error

    folder = JobFolder(tmp_path / "b-a1")
    (folder.work / "resume").mkdir(parents=True)
    (folder.work / "resume/step").write_text("1")
    parcels = Parcels(Objects(Address.parse(f"{tmp_path}/store")))
    carrier = _Carrier(parcels, "job", folder)
    for where in ("shutil.copyfile", "entries"):
        with monkeypatch.context() as patched:
            patched.setattr(f"motools_build.running.worker.carried.{where}", fails)
            carrier._try(carrier._keep)
    parcels.saved("job", tmp_path / "work")
    assert not (tmp_path / "work").exists()
    carrier._try(carrier._keep)
    parcels.saved("job", tmp_path / "work")
    assert (tmp_path / "work/resume/step").read_text() == "1"


def test_a_file_that_a_sweep_may_remove_soon_is_put_anew(tmp_path: Path) -> None:
    objects = Objects(Address.parse(f"{tmp_path}/store"))
    rows = tmp_path / "rows"
    rows.write_text("rows")
    Parcels(objects).send("one", {}, {"rows": rows})
    (put,) = (tmp_path / "store/jobs/files").iterdir()
    os.utime(put, (time.time() - 40 * 86_400,) * 2)
    assert len(sweep(objects, [], 90, True).marked) == 1
    Parcels(objects).send("two", {}, {"rows": rows})
    assert sweep(objects, [], 90, True).marked == []


def unpacked(tmp_path: Path, wanted: StageJob) -> JobFolder:
    """The folder of a job of the project in the working directory, on a node of its
    own, which is the working directory from then on."""
    log = Path("artifacts/logs/x.log")
    request = Request((wanted,), log).encode().decode()
    told = {"request": request, "folder": os.getcwd()}
    folder = ArtifactStore().jobs.create(wanted.key, 1, told, {})
    files = files_of(folder)
    order = {
        **folder.order,
        "programs": programs(files),
        "job": folder.path.name,
        "version": versions()["motools_build"],
    }
    parcels = Parcels(Objects(Address.parse(f"{tmp_path}/store")))
    parcels.send("one", order, files)
    (tmp_path / "node").mkdir()
    os.chdir(tmp_path / "node")
    return _unpacked(parcels, parcels.order("one") or {}, Path())


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_a_program_of_the_project_can_be_executed(there: Path, tmp_path: Path) -> None:
    Path("train.sh").write_text("#!/bin/sh\n")
    Path("train.sh").chmod(0o755)
    Path("data").write_text("")
    wanted = replace(job("work"), files={"train.sh": "1", "data": "2"})
    unpacked(tmp_path, wanted)
    assert os.access("train.sh", os.X_OK)
    assert (Path("data").read_text(), os.access("data", os.X_OK)) == ("", False)


def test_a_file_outside_the_project_is_refused_before_it_is_sent(
    there: Path, tmp_path: Path
) -> None:
    for key, name in {"b": "../data", "c": f"{tmp_path}/data"}.items():
        with pytest.raises(Refused, match="data is outside the project, so it cannot"):
            unpacked(tmp_path, replace(job("work", key), files={name: "1"}))


def test_rows_outside_the_project_travel_as_copies(there: Path, tmp_path: Path) -> None:
    Path("../rows.jsonl").write_text("")
    params = ModelParams(
        rows_path="artifacts/jobs/x/inputs/rows.jsonl",
        rows_digest="1",
        dataset_name="rows",
        model="command/mine",
        recipe=Recipe("sft", 1, 1),
        seed=0,
    )
    wanted = replace(job("work"), params=params, files={"../rows.jsonl": "1"})
    assert unpacked(tmp_path, wanted).path.is_dir()


def test_a_base_model_in_the_projects_folder_is_found_under_the_same_path(
    there: Path, tmp_path: Path
) -> None:
    Path("models/tiny").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        Path("models/tiny", name).write_text("{}")
    params = ModelParams("", "", "rows", "local/./models/tiny", Recipe("sft", 1, 1), 0)
    base = Given("digest", "artifacts/base/local-x", {})
    wanted = replace(job("work"), params=params, given={"base": base})
    unpacked(tmp_path, wanted)
    assert Path("models/tiny/config.json").read_text() == "{}"
    (there / "models").rename(there / "gone")
    with pytest.raises(BaseModelError, match=r"the node has no folder .*models/tiny"):
        _link("./models/tiny", there)
    (tmp_path / "tiny").mkdir()
    with pytest.raises(BaseModelError, match=r"whole path, .*/tiny"):
        _link("../tiny", there)
