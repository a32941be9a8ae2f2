"""The server itself: keys, scopes, limits, its log, how it starts and ends."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.error
import urllib.request

import openai
import pytest

from tests.rehearsal.server import BASE, JOBS, Rehearsal, rows


def test_only_its_key_is_accepted_where_it_has_one() -> None:
    with Rehearsal().start("--key", "sk-mine") as server:
        with server.client(api_key="sk-mine") as client:
            assert len(list(client.models.list())) == 6
        with (
            server.client(api_key="sk-other") as client,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            client.models.list()
        assert caught.value.code == "invalid_api_key"
        assert "sk-other" not in str(caught.value)


def test_a_request_without_a_key_is_refused(server: Rehearsal) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.url}/models", timeout=30)
    with caught.value as error:
        assert error.code == 401
        assert error.headers["x-request-id"]
        assert set(json.loads(error.read())["error"]) == {
            "message",
            "type",
            "param",
            "code",
        }


def test_each_organization_and_project_sees_its_own(
    server: Rehearsal, client: openai.OpenAI, file: str
) -> None:
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file)
    name = client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model
    assert name is not None
    with (
        server.client(project=client.project, api_key="sk-2") as same,
        server.client(project="other") as other,
        server.client(project=client.project, organization="org-2") as far,
    ):
        assert same.models.retrieve(name).id == name
        assert [f.id for f in same.fine_tuning.jobs.list()] == [job.id]
        for stranger in (other, far):
            assert not list(stranger.fine_tuning.jobs.list())
            for call in (
                lambda c: c.files.retrieve(file),
                lambda c: c.models.retrieve(name),
                lambda c: c.fine_tuning.jobs.retrieve(job.id),
            ):
                with pytest.raises(openai.NotFoundError):
                    call(stranger)
        theirs = far.files.create(file=("r.jsonl", rows()), purpose="fine-tune")
        far_job = far.fine_tuning.jobs.create(model=BASE, training_file=theirs.id)
        assert far_job.organization_id == "org-2"
    assert {job.id, far_job.id} <= {found["id"] for found in server.state()["jobs"]}


def test_unknown_routes_and_ids_are_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.get("/nothing", cast_to=object)
    assert caught.value.code == "unknown_url"
    assert "GET /v1/nothing" in caught.value.message
    jobs = client.fine_tuning.jobs
    for call in (
        lambda: jobs.retrieve("ftjob-0"),
        lambda: jobs.cancel("ftjob-0"),
        lambda: jobs.list_events("ftjob-0"),
        lambda: jobs.checkpoints.list("ftjob-0"),
        lambda: client.files.delete("file-0"),
        lambda: client.uploads.cancel("upload-0"),
    ):
        with pytest.raises(openai.NotFoundError):
            call()


def test_a_body_that_is_no_json_is_refused(
    server: Rehearsal, client: openai.OpenAI
) -> None:
    for path in ("/fine_tuning/jobs", "/chat/completions", "/uploads", "/files"):
        for body in (b"{", b"[1]", b"\xff"):
            with pytest.raises(openai.BadRequestError):
                client.post(path, cast_to=object, content=body)


def test_a_file_over_the_limit_is_refused_while_it_is_read(
    server: Rehearsal, client: openai.OpenAI
) -> None:
    server.settings(file_limit=100_000)
    client.files.create(file=("x", bytes(100_000)), purpose="user_data")
    with pytest.raises(openai.APIStatusError) as caught:
        client.files.create(file=("x", bytes(100_001)), purpose="user_data")
    assert caught.value.status_code == 413
    assert len(list(client.files.list())) == 1


def test_a_file_over_512_mb_is_refused_before_it_is_read(server: Rehearsal) -> None:
    host, port = server.url.removesuffix("/v1").removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as plain:
        plain.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 600000000\r\n\r\n--x\r\n"
        )
        assert plain.recv(100).startswith(b"HTTP/1.1 413")


def test_requests_are_counted_by_route_and_logged(
    server: Rehearsal, client: openai.OpenAI, file: str
) -> None:
    server.forget()
    while server.requests()["most"]:  # a slow answer that an earlier test left
        time.sleep(0.05)
        server.forget()
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file)
    for _ in range(2):
        client.fine_tuning.jobs.retrieve(job.id)
    client.fine_tuning.jobs.list(metadata={"k": "v"})
    found = server.requests()
    assert found["counts"] == {
        f"POST {JOBS}": 1,
        f"GET {JOBS}/{{id}}": 2,
        f"GET {JOBS}": 1,
    }
    assert [entry["path"] for entry in found["log"]] == [
        JOBS,
        f"{JOBS}/{job.id}",
        f"{JOBS}/{job.id}",
        JOBS,
    ]
    assert {entry["status"] for entry in found["log"]} == {200}
    assert found["most"] == 1
    server.forget()
    assert server.requests()["log"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_use_it_and_ends_cleanly(number: int) -> None:
    server = Rehearsal().start("--fault", "slow:on=GET /v1/models:value=0.01")
    assert server.url.startswith("http://127.0.0.1:")
    assert [rule["fault"] for rule in server.control("GET", "faults")] == ["slow"]
    assert server.control("GET", "settings")["seconds"] == 5
    with server.client() as client:
        client.models.list()
        code, err = server.stop(number)
    assert code == 0
    assert err == (f"export OPENAI_BASE_URL={server.url} OPENAI_API_KEY=sk-rehearsal\n")


def test_a_taken_port_and_a_wrong_rule_are_told(server: Rehearsal) -> None:
    port = server.url.removesuffix("/v1").rpartition(":")[2]
    with pytest.raises(AssertionError, match=f"port {port} cannot be had"):
        Rehearsal().start("--port", port)
    with pytest.raises(AssertionError, match="'loss' is none"):
        Rehearsal().start("--fault", "loss")


def test_ids_are_never_another_servers(server: Rehearsal, file: str) -> None:
    with Rehearsal().start() as other, other.client() as client:
        theirs = client.files.create(file=("r.jsonl", rows()), purpose="fine-tune")
        first = theirs.id.removeprefix("file-")[:6]
    assert not file.removeprefix("file-").startswith(first)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil"])
def test_another_name_for_this_machine_is_refused(server: Rehearsal, host: str) -> None:
    """A web page whose own name was made to point here is read by its browser."""
    for place in ("/v1/models", "/rehearsal/state"):
        request = urllib.request.Request(
            server.url.removesuffix("/v1") + place,
            headers={"Host": host, "Authorization": "Bearer sk-rehearsal"},
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=30)
        with caught.value as error:
            assert error.code == 400
            assert b"no name but 127.0.0.1" in error.read()


def test_localhost_is_a_name_of_it(server: Rehearsal) -> None:
    url = server.url.removesuffix("/v1") + "/rehearsal/requests"
    request = urllib.request.Request(url, headers={"Host": "localhost:1"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
