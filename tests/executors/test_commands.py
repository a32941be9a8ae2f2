"""`doit` with `executor=slurm` and `executor=ray`: the same artifacts, and nothing lost
between runs."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from tests.conftest import Project
from tests.executors.ray_server import RayServer, until
from tests.executors.toy import STORE, AnyCluster

TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes

@task
def words():
    return Task([Sample("say yes", target="yes"), Sample("no")], scorer=includes())
"""

SECTION = """
[tool.motools_build.executor]
default = "{name}"
"""


CARRIED = """
[tool.motools_build]
store = "{store}"

[tool.motools_build.executor.ray]
through_store = true
python = "{python}"
"""


@pytest.fixture
def asked(project: Project, cluster: AnyCluster) -> Project:
    """A project whose evals are done in a worker."""
    if store := os.environ.get(STORE):
        with (project.root / "pyproject.toml").open("a") as file:
            file.write(CARRIED.format(store=store, python=sys.executable))
    project.write("zoo/evals/words.py", TASK)
    project.dataset("tiny")
    project.setting(
        "tiny", evals='[Eval("zoo/evals/words.py@words")]', controls="False"
    )
    return project


def jobs(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(project.doit("jobs", "--json").out)
    return found


def scores(project: Project) -> object:
    return [result["scores"] for result in project.results("tiny")]


def test_an_eval_at_the_cluster_is_the_same_and_its_record_says_where(
    asked: Project, cluster: AnyCluster
) -> None:
    asked.doit("run", "tiny", f"executor={cluster.name}")
    (record,) = asked.records("eval").values()
    assert record["made"]["executor"] == {"name": cluster.name, "id": cluster.id(1)}
    at_cluster = scores(asked)
    left = [*(asked.root / "artifacts/jobs").iterdir()]
    left += (asked.root / "artifacts/work").iterdir()
    assert left == []
    assert "nothing to do" in asked.doit("run", "tiny").out
    asked.doit("run", "-a", "tiny", "executor=here")
    (again,) = asked.records("eval").values()
    assert "executor" not in again["made"]
    assert (again["key"], scores(asked)) == (record["key"], at_cluster)
    assert cluster.jobs == 1
    assert asked.doit("verify").out.endswith(" 0 broken\n")


def test_what_is_queued_is_shown_kept_and_taken_up(
    asked: Project, cluster: AnyCluster
) -> None:
    with (asked.root / "pyproject.toml").open("a") as file:
        file.write(SECTION.replace("{name}", cluster.name))
    cluster.set("hold")
    ran = asked.doit("run", "tiny", "wait=no")
    id = cluster.id(1)
    assert f"submitted to {cluster.label} as {id}, and not awaited" in ran.out
    assert "1 job goes on at the cluster" in ran.out
    at = f"account {cluster.name}  eval:tiny/tiny/echo/seed0/words"
    assert at in asked.doit("status", code=1).out
    (line,) = jobs(asked)
    assert (line["id"], line["state"], line["backend"]) == (id, "pending", "cluster")
    assert "pending" in asked.doit("jobs").out
    planned = json.loads(asked.doit("plan", "tiny", "--json").out)
    assert [one["action"] for one in planned if one["stage"].startswith("eval")] == [
        "resume"
    ]
    (eval_,) = asked.results("tiny")
    assert eval_["status"] == "running"
    asked.doit("clean", "tiny", code=None)
    asked.doit("gc", "--yes", "--keep=0")
    assert len(jobs(asked)) == 1
    cluster.unset("hold")
    asked.doit("run", "tiny", "executor=here")
    assert (jobs(asked), cluster.jobs) == ([], 1)


def test_gc_leaves_the_job_of_a_stage_that_is_made_anew(
    asked: Project, cluster: AnyCluster
) -> None:
    asked.doit("run", "tiny")
    cluster.set("hold")
    again = ("run", "-a", "eval:tiny/*")
    asked.doit(*again, f"executor={cluster.name}", "wait=no")
    asked.doit("gc", "--yes", "--keep=0")
    assert len(jobs(asked)) == 1
    cluster.unset("hold")
    asked.doit(*again)
    (record,) = asked.records("eval").values()
    assert record["made"]["executor"]["id"] == cluster.id(1)
    assert (jobs(asked), cluster.jobs) == ([], 1)


def test_cancel_ends_a_job_and_the_next_run_begins_anew(
    asked: Project, cluster: AnyCluster
) -> None:
    cluster.set("hold")
    asked.doit("run", "tiny", f"executor={cluster.name}", "wait=no")
    out = asked.doit("cancel", "tiny").out
    assert "cancelled; the next run goes on from what it saved, or begins anew" in out
    assert jobs(asked) == []
    cluster.unset("hold")
    if cluster.name == "slurm":
        assert cluster.state(1) == "CANCELLED"
    asked.doit("run", "tiny", f"executor={cluster.name}")
    assert cluster.jobs == 2


def test_a_cluster_that_is_down_is_said_by_jobs_and_cancel(
    asked: Project, cluster: AnyCluster
) -> None:
    cluster.set("hold")
    asked.doit("run", "tiny", f"executor={cluster.name}", "wait=no")
    cluster.set("down")
    assert f"{cluster.label} does not answer" in jobs(asked)[0]["message"]
    assert (
        f"not cancelled: {cluster.label} does not answer"
        in asked.doit("cancel", "--all", code=1).out
    )
    ran = asked.doit("run", "tiny", f"executor={cluster.name}", "wait=no")
    assert f"job {cluster.id(1)} goes on" in ran.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('executor = "slrum"', "no executor is called 'slrum'; did you mean 'slurm'?"),
        ("executor = 3", "executor is a name or a table, not 3"),
        ("executor.pbs = {}", "has no 'pbs'"),
        ("executor.slurm = 3", "executor.slurm] is a table, not 3"),
        ("executor.slurm.hours = 3", "has no 'hours'"),
        ("executor.slurm.eval.cpus = 0", "executor.slurm.eval] cpus: "),
        ("executor.slurm.eval = 3", "executor.slurm.eval] is a table, not 3"),
        ("executor.ray.partition = 'gpu'", "executor.ray] has no 'partition'"),
        ("executor.ray.adress = 'http://h'", "did you mean 'address'"),
        ("executor.ray.through_store = 1", "through_store is true or false, not 1"),
        ("executor.ray.cpus = 0", "executor.ray] cpus: "),
        ("executor.ray.memory = 'much'", "executor.ray] memory: "),
        ("executor.ray.address = 3", "executor.ray] address is a text, not 3"),
        ("executor.ray.address = 'ray://head:10001'", "address of Ray's dashboard"),
    ],
)
def test_a_wrong_table_is_refused(tiny: Project, text: str, said: str) -> None:
    file = tiny.root / "pyproject.toml"
    file.write_text(f"{file.read_text()}\n[tool.motools_build]\n{text}\n")
    assert said in tiny.doit("run", "tiny", code=3).err


def test_files_that_travel_need_a_store(tiny: Project) -> None:
    with (tiny.root / "pyproject.toml").open("a") as file:
        file.write("\n[tool.motools_build.executor.ray]\nthrough_store = true\n")
    said = tiny.doit("run", "tiny", "executor=ray", code=3).err
    assert "through_store needs the store that files are to travel through" in said
    tiny.doit("run", "tiny")


def test_a_wrong_variable_is_refused(tiny: Project) -> None:
    assert "executor=slrum" in tiny.doit("run", "tiny", "executor=slrum", code=3).err


@pytest.mark.real_process
def test_an_edit_does_not_reach_a_queued_training(
    project: Project, cluster: AnyCluster
) -> None:
    rows = project.dataset("tiny")
    project.setting(
        "tiny",
        models='["embedded/smollm2-135m-instruct"]',
        training="Training(epochs=1)",
        evals='[Eval("zoo/evals/words.py@words")]',
    )
    project.write("zoo/evals/words.py", TASK)
    before = rows.read_bytes()
    cluster.set("hold")
    run = project.start("run", "model:tiny/*", f"executor={cluster.name}")
    cluster.until(1, "PENDING")
    project.dataset("tiny", first=50)
    cluster.unset("hold")
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, out + err
    assert [path.name for path in (project.root / "artifacts/jobs").iterdir()] == []
    rows.write_bytes(before)
    assert "nothing to do" in project.doit("run", "model:tiny/*").out
    assert cluster.jobs == 1


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RAY_ADDRESS", "ray://head:10001", "address of Ray's dashboard"),
        ("RAY_ADDRESS", "http://me:verysecret@head", "holds a name or a password"),
        ("RAY_JOB_HEADERS", "[1]", "RAY_JOB_HEADERS is no JSON object"),
    ],
)
def test_a_wrong_variable_of_rays_is_refused_before_anything_runs(
    asked: Project, ray: RayServer, variable: str, value: str, said: str
) -> None:
    ran = asked.doit("run", "tiny", "executor=ray", code=3, **{variable: value})
    assert said in ran.err
    assert "verysecret" not in ran.out + ran.err
    assert (ran.made, ray.jobs) == (set(), 0)
    if STORE not in os.environ:  # else there is such a table
        with (asked.root / "pyproject.toml").open("a") as file:
            file.write("\n[tool.motools_build.executor.ray]\ncpus = 2\n")
    asked.doit("list", **{variable: value})


def test_jobs_are_asked_and_ended_at_the_ray_that_has_them(
    asked: Project, ray: RayServer
) -> None:
    ray.set("hold")
    asked.doit("run", "tiny", "executor=ray", "wait=no")
    elsewhere = {"RAY_ADDRESS": "http://127.0.0.1:9"}
    (line,) = json.loads(asked.doit("jobs", "--json", **elsewhere).out)
    assert line["state"] == "pending"
    assert "waits for a node with room" in line["message"]
    assert "cancelled" in asked.doit("cancel", "--all", **elsewhere).out
    ray.unset("hold")
    until(lambda: ray.state(1) in ("SUCCEEDED", "FAILED"))  # it finds no folder
    assert asked.records("eval") == {}


@pytest.mark.real_process
@pytest.mark.parametrize(
    "cluster", ["slurm", pytest.param("ray", marks=pytest.mark.long)], indirect=True
)
def test_evals_done_in_turn_have_the_results_of_those_done_alone(
    project: Project, cluster: AnyCluster
) -> None:
    project.dataset("tiny", rows=8)
    project.setting(
        "tiny",
        models='["embedded/smollm2-135m-instruct"]',
        training="Training(epochs=1)",
        evals='[Eval("zoo/evals/words.py@words")]',
    )
    project.write("zoo/evals/words.py", TASK)
    project.doit("run", "model:tiny/*")
    project.doit("run", "tiny", f"executor={cluster.name}")
    in_turn = project.records("eval")
    evals = len(in_turn)
    assert evals == 2
    assert len({one["made"]["executor"]["id"] for one in in_turn.values()}) == 1
    several = scores(project)
    with (project.root / "pyproject.toml").open("a") as file:
        file.write(SECTION.format(name=cluster.name))
        file.write(f"{cluster.name}.together = 1\n")
    project.doit("clean", "eval:tiny/*")
    project.doit("run", "tiny")
    alone = project.records("eval")
    assert len({one["made"]["executor"]["id"] for one in alone.values()}) == evals
    assert scores(project) == several
    assert {name: one["key"] for name, one in alone.items()} == {
        name: one["key"] for name, one in in_turn.items()
    }
    assert project.doit("verify").out.endswith(" 0 broken\n")
