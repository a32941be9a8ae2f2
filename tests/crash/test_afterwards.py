"""After a loss, a failure or a retry: what was paid for is found and kept."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.conftest import Project
from tests.crash.client import Die
from tests.crash.harness import Doit, count
from tests.rehearsal.server import Rehearsal


def retry(client: Doit, key: str) -> None:
    file = client.artifacts / "state" / f"{key}.json"
    state = json.loads(file.read_bytes())
    paid = state["paid"]
    paid.update(phase="absent", attempt=paid["attempt"] + 1, nonces=[], id="")
    file.write_text(json.dumps({"failure": None, "paid": paid}))


def ran(client: Doit) -> int:
    running = client.start()
    return running.wait()


def failed_by_moderation(client: Doit, server: Rehearsal) -> dict[str, dict[str, Any]]:
    """The states of jobs that were refused after their training."""
    server.faults([{"fault": "moderation"}])
    client.begin(0)
    assert ran(client) == 2
    server.faults([])
    states = {key: p for key, p in client.paid().items() if p["kind"] == "model"}
    assert {paid["phase"] for paid in states.values()} == {"failed"}
    return states


@pytest.mark.parametrize("lost", ["state", "."])
@pytest.mark.parametrize("point", ["after the answer", "after bind", None])
def test_a_lost_folder_is_made_up_for(
    project: Project, server: Rehearsal, lost: str, point: str | None
) -> None:
    client = Doit(project, server, seeds=3)
    client.begin(0)
    running = client.start(Die(point, 3) if point else None)
    assert running.wait() == (-9 if point else 0), running.out
    before = {kind: len(found) for kind, found in server.state().items()}
    server.settings(list_lag=0)  # the loss is noticed later than that
    shutil.rmtree(client.artifacts / lost, ignore_errors=True)
    client.artifacts.mkdir(exist_ok=True)
    assert ran(client) == 0
    counts = count(server, [client])
    assert (counts.extra_jobs, counts.lost, counts.files) == (0, 0, 1)
    if not point:
        assert counts.jobs == before["jobs"] == client.wanted


@pytest.mark.parametrize("lost", ["", "state", "."])
def test_a_failed_job_is_not_paid_for_again_by_itself(
    project: Project, server: Rehearsal, lost: str
) -> None:
    client = Doit(project, server, seeds=2)
    failed = failed_by_moderation(client, server)
    if lost:
        shutil.rmtree(client.artifacts / lost)
        client.artifacts.mkdir(exist_ok=True)
    assert ran(client) == 2
    assert count(server, [client]).jobs == len(failed) == 2


def test_a_retry_is_a_new_job(project: Project, server: Rehearsal) -> None:
    client = Doit(project, server, seeds=2)
    failed = failed_by_moderation(client, server)
    key, other = sorted(failed)
    retry(client, key)
    assert client.start(Die("after the answer")).wait() == -9
    assert ran(client) == 2  # the other is still failed
    ids = {job["id"]: job["metadata"] for job in server.state()["jobs"]}
    again = ids.keys() - {paid["id"] for paid in failed.values()}
    assert [ids[id]["motools_attempt"] for id in again] == ["2"]
    assert [ids[id]["motools_key"] for id in again] == [key]
    assert [made for made, _ in client.made()] == [key]
    assert client.paid()[other]["id"] == failed[other]["id"]
    record = next(iter(project.records("model").values()))
    assert {record["details"]["job"]} == again

    shutil.rmtree(client.artifacts)  # the last attempt is the one that counts
    client.artifacts.mkdir()
    assert ran(client) == 2
    assert len(server.state()["jobs"]) == 3
    record = next(iter(project.records("model").values()))
    assert {record["details"]["job"]} == again
