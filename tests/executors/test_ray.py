"""What is Ray's alone at the executor `ray`; `test_clusters` has what all clusters
share."""

from __future__ import annotations

import asyncio
import json
from http.client import HTTPResponse, IncompleteRead
from pathlib import Path

import pytest

from motools_build.backends.job import Made
from motools_build.errors import (
    Ambiguous,
    Deferred,
    InputError,
    Refused,
    StageFailed,
    Unreachable,
)
from motools_build.running.executors.ray import Ray
from motools_build.running.executors.ray_api import RayApi, address_of
from motools_build.store.artifacts import ArtifactStore
from tests.executors.cluster import Cluster
from tests.executors.ray_server import RayServer, nested, until
from tests.executors.toy import folders, job, one, ran, result, while_saved
from tests.shared.servers import free_port

pytestmark = [pytest.mark.real_process, pytest.mark.usefixtures("toy")]


@pytest.fixture
def cluster(ray: RayServer) -> RayServer:
    return ray


def test_options_become_those_of_the_request_by_kind(cluster: RayServer) -> None:
    table = {
        "cpus": 2,
        "memory": "1GiB",
        "resources": {"fast": 1},
        "runtime_env": {"env_vars": {"A": "b"}},
        "setup": ["export FROM_SETUP=1"],
        "model": {"gpus": 0.5, "cpus": 3},
    }
    made = result(job("work"), options=table)
    request = dict(cluster.all[0].request)
    script = Path(request.pop("entrypoint").removeprefix("bash "))
    assert request == {
        "submission_id": cluster.id(1),
        "metadata": {"job": f"motools-{'a' * 32}-a1", "stage": "work"},
        "entrypoint_num_cpus": 3,
        "entrypoint_num_gpus": 0.5,
        "entrypoint_memory": 1 << 30,
        "entrypoint_resources": {"fast": 1},
        "runtime_env": {"env_vars": {"A": "b"}},
    }
    assert script.parent == Path(made.folder).resolve().parent
    assert "export FROM_SETUP=1" in script.read_text()


def test_inspect_variables_of_the_nodes_do_not_reach_a_job(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSPECT_EVAL_MODEL", "another")
    asked = "env > seen"
    result(job("work"), options={"setup": [asked]})
    seen = Path("seen").read_text()
    assert "INSPECT_EVAL_MODEL" not in seen
    assert "OMP_NUM_THREADS=1" in seen
    assert "RAY_ADDRESS=127.0.0.1:6379" in seen  # as Ray's nodes have it


# ---- jobs that never began


def test_a_job_that_never_began_is_submitted_again_under_its_id(
    cluster: RayServer,
) -> None:
    cluster.set("hold")
    told: list[str] = []

    async def story() -> Made:
        task = asyncio.create_task(one(job("work"), lambda p: told.append(p.note)))
        for times in (1, 2):
            await asyncio.to_thread(until, lambda n=times: cluster.state(n))
            cluster.start_timeout(times)
        await asyncio.to_thread(until, lambda: cluster.jobs == 3)
        cluster.unset("hold")
        return await task

    assert asyncio.run(story()).output == "a" * 32
    assert {one.id for one in cluster.all} == {cluster.id(1)}
    assert ran() == ["a" * 32]
    assert "is submitted again: no node had room for it" in " ".join(told)


def test_one_that_never_began_while_no_run_waited_is_begun_by_the_next(
    cluster: RayServer,
) -> None:
    cluster.set("hold")
    with pytest.raises(Deferred):
        result(job("work"), wait=False)
    cluster.start_timeout(1)
    cluster.unset("hold")
    assert result(job("work")).output == "a" * 32
    assert (cluster.jobs, ran()) == (2, ["a" * 32])


def test_a_run_that_dies_while_it_submits_again_leaves_it_to_the_next(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(Exception):
        pass

    def dies(*args: object) -> bool:
        raise Died

    cluster.set("hold")
    with pytest.raises(Deferred):
        result(job("work"), wait=False)
    cluster.start_timeout(1)
    with monkeypatch.context() as patched:
        delete, submit = RayApi.delete, RayApi.submit

        def deletes(api: RayApi, id: str) -> None:
            delete(api, id)
            patched.setattr(RayApi, "submit", dies)

        patched.setattr(RayApi, "delete", deletes)
        with pytest.raises(Died):
            result(job("work"))
        patched.setattr(RayApi, "submit", submit)
    cluster.unset("hold")
    assert result(job("work")).output == "a" * 32
    assert (cluster.jobs, ran()) == (2, ["a" * 32])


def test_an_id_that_is_free_too_early_is_tried_again(cluster: RayServer) -> None:
    cluster.set("hold")

    async def story() -> Made:
        task = asyncio.create_task(one(job("work")))
        await asyncio.to_thread(until, lambda: cluster.jobs)
        taken = f"The name _ray_internal_job_actor_{cluster.id(1)} is already taken."
        cluster.end(
            1,
            "FAILED",
            f"Failed to start supervisor actor {cluster.id(1)}: '{taken}'. Full "
            "traceback:\nTraceback",
            "JOB_SUPERVISOR_ACTOR_START_FAILURE",
        )
        cluster.unset("hold")
        return await task

    assert asyncio.run(story()).output == "a" * 32
    assert cluster.jobs == 2


def test_silence_in_the_midst_of_a_second_submission_is_no_failure(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.set("hold")
    asked = RayApi.job

    def cut(api: RayApi, id: str) -> object:
        monkeypatch.setattr(RayApi, "job", asked)
        raise Unreachable("no answer")

    monkeypatch.setattr(RayApi, "job", cut)
    with pytest.raises(Deferred):
        result(job("work"), wait=False)
    cluster.start_timeout(1)
    cluster.unset("hold")
    assert result(job("work")).output == "a" * 32
    assert RayApi.job is asked
    assert (cluster.jobs, ran()) == (2, ["a" * 32])


# ---- how jobs end


def test_a_node_that_died_is_told_and_the_next_run_goes_on(cluster: RayServer) -> None:
    said = r"without a result \(it failed: Job supervisor actor died: The actor died"
    with pytest.raises(StageFailed, match=said):
        asyncio.run(while_saved(lambda: cluster.node_died(1)))
    assert result(job("wait")).details == {"first": False}


def test_what_a_script_said_last_is_told(cluster: RayServer) -> None:
    with pytest.raises(StageFailed, match="said last: modules are not here") as told:
        result(job("work"), options={"setup": ["echo modules are not here", "exit 3"]})
    assert "failed with exit code 3" in str(told.value)


# ---- answers of servers


def test_what_ray_says_of_an_error_is_told(cluster: RayServer) -> None:
    cluster.set("refuse", text=nested("ValueError: no such label: gpu", 400))
    with pytest.raises(Refused, match=r"\(HTTP 400\): ValueError: no such label: gpu"):
        result(job("work"))


@pytest.mark.parametrize("text", ["", "<html>upstream connect error</html>"])
def test_a_gateway_that_answers_for_ray_is_no_answer(
    cluster: RayServer, text: str
) -> None:
    api = RayApi(cluster.address)
    cluster.set("down", text=text)
    with pytest.raises(Unreachable, match="Ray does not answer"):
        api.jobs()
    with pytest.raises(Unreachable):
        api.job("x")
    with pytest.raises(Ambiguous):
        api.submit("x", "true", {})


def test_an_id_is_accepted_once_and_free_again_only_when_its_job_has_ended(
    cluster: RayServer,
) -> None:
    api = RayApi(cluster.address)
    cluster.set("hold")
    assert [api.submit("x", "echo hi", {}) for _ in range(2)] == [True, False]
    with pytest.raises(Unreachable, match="it is in a non-terminal state PENDING"):
        api.delete("x")
    cluster.unset("hold")
    cluster.until(1, "SUCCEEDED")
    assert api.logs("x") == "hi\n"
    api.delete("x")
    assert (api.job("x"), api.logs("x")) == (None, "")
    api.stop("x")
    api.delete("x")
    assert api.submit("x", "true", {})


def test_an_answer_that_is_cut_short_is_no_answer(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(answer: HTTPResponse) -> bytes:
        raise IncompleteRead(b"{")

    monkeypatch.setattr(HTTPResponse, "read", cut)
    with pytest.raises(Unreachable):
        RayApi(cluster.address).jobs()
    with pytest.raises(Ambiguous):
        RayApi(cluster.address).submit("x", "true", {})


def test_a_page_that_is_not_rays_is_no_answer(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "answer", lambda *asked: (200, "<html>log in</html>"))
    with pytest.raises(Unreachable, match="does not answer as Ray's dashboard does"):
        RayApi(cluster.address).jobs()


# ---- addresses, and who may enter


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "ray://head:10001",
            "is 'ray://head:10001': jobs need the address of Ray's",
        ),
        ("head:6379", "jobs need the address of Ray's dashboard"),
        ("http://me:secret@head:8265", "holds a name or a password"),
    ],
)
def test_a_wrong_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match=said) as told:
        Ray({})
    assert "secret" not in str(told.value)
    where = r"\[tool.motools_build.executor.ray\] address"
    with pytest.raises(InputError, match=where):
        Ray({"address": address})


def test_addresses_are_taken_in_rays_own_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://one:8265/")
    assert address_of(None) == "http://one:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "https://two")
    assert address_of(None) == "https://two"
    assert address_of("http://three:1") == "http://three:1"
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert address_of(None) == "http://127.0.0.1:8265"


def test_tokens_and_headers_reach_the_server(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    api = RayApi(cluster.address)
    api.jobs()
    assert "Authorization" not in cluster.headers
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("from-home\n")
    api.jobs()
    assert cluster.headers["Authorization"] == "Bearer from-home"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "from-environment")
    api.jobs()
    assert cluster.headers["Authorization"] == "Bearer from-environment"
    headers = {"Authorization": "Basic mine", "X-Proxy": "yes"}
    monkeypatch.setenv("RAY_JOB_HEADERS", json.dumps(headers))
    api.jobs()
    assert cluster.headers["Authorization"] == "Basic mine"
    assert cluster.headers["X-Proxy"] == "yes"
    monkeypatch.setenv("RAY_JOB_HEADERS", "[1]")
    with pytest.raises(InputError, match="RAY_JOB_HEADERS is no JSON object"):
        api.jobs()


def test_who_may_not_enter_is_told_so(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    cluster.set("locked", text="right")
    with pytest.raises(Refused, match=r"HTTP 401\): Unauthorized: Missing auth"):
        result(job("work"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    with pytest.raises(Refused, match=r"HTTP 403\): Forbidden: Invalid auth"):
        result(job("work"))
    assert folders() == []
    monkeypatch.setenv("RAY_AUTH_TOKEN", "right")
    assert result(job("work")).output == "a" * 32


def test_a_token_is_in_no_file_and_in_no_request_for_a_job(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "verysecrettoken")
    result(job("work"))
    files = [path.read_text() for path in Path().rglob("*") if path.is_file()]
    bodies = [one.partition("\n\n")[2] for one in cluster.requests]
    assert not [text for text in [*files, *bodies] if "verysecret" in text]


# ---- several clusters


def test_a_job_is_looked_for_where_it_was_submitted(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster.set("hold")
    with pytest.raises(Deferred):
        result(job("work"), wait=False)
    other = RayServer(tmp_path / "other")
    try:
        monkeypatch.setenv("RAY_ADDRESS", other.address)
        cluster.unset("hold")
        assert result(job("work")).output == "a" * 32
        assert (cluster.jobs, other.asked) == (1, [])
        assert result(job("work", "b")).output == "b" * 32
        assert (cluster.jobs, other.jobs) == (1, 1)
    finally:
        other.close()


@pytest.mark.parametrize("first", ["ray", "slurm"])
def test_jobs_of_one_cluster_are_taken_up_by_runs_that_send_to_another(
    cluster: RayServer, slurm: Cluster, first: str
) -> None:
    at: Cluster | RayServer = cluster if first == "ray" else slurm
    second = "slurm" if first == "ray" else "ray"
    at.set("hold")
    with pytest.raises(Deferred):
        result(job("work"), wait=False, sends_to=first)
    at.unset("hold")
    made = result(job("work"), sends_to=second)
    assert made.executor == {"name": first, "id": at.id(1)}
    assert cluster.jobs + slurm.jobs == 1
    made = result(job("work", "b"), sends_to=second)
    assert (made.executor or {})["name"] == second


def test_a_job_for_a_wrong_address_can_go_to_the_right_one(
    cluster: RayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is left that would be looked for where nobody answers."""
    with monkeypatch.context() as wrong:
        wrong.setenv("RAY_API_SERVER_ADDRESS", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(Deferred, match=r"does not answer.*; nothing was submitted"):
            result(job("work"), wait=False)
    assert not [*ArtifactStore().jobs]
    assert result(job("work")).output == "a" * 32
    assert cluster.jobs == 1
