"""After a loss, a failure or a retry: what was paid for is found and kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Project
from tests.crash.client import Die
from tests.crash.harness import Doit, count
from tests.rehearsal.server import Rehearsal


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


@pytest.mark.parametrize(
    ("folder", "point"), [("state", "after the answer"), (".", "after bind")]
)
def test_a_folder_that_is_lost_with_jobs_under_way(
    project: Project, server: Rehearsal, folder: str, point: str
) -> None:
    client = Doit(project, server, seeds=3)
    client.begin(0)
    assert client.start(Die(point, 3)).wait() == -9
    server.settings(list_lag=0)  # the loss is noticed later than that
    client.lose(folder)
    assert ran(client) == 0
    counts = count(server, [client])
    assert (counts.jobs, counts.lost, counts.files) == (3, 0, 1)


def test_a_folder_that_is_lost_afterwards(project: Project, server: Rehearsal) -> None:
    client = Doit(project, server, seeds=3)
    client.begin(0)
    assert ran(client) == 0
    made = sorted(client.made())
    for folder in ("state", "."):
        client.lose(folder)
        assert ran(client) == 0
        assert sorted(client.made()) == made
        counts = count(server, [client])
        assert (counts.jobs, counts.lost, counts.files) == (3, 0, 1)


def test_a_failed_job_is_not_paid_for_again_by_itself(
    project: Project, server: Rehearsal
) -> None:
    client = Doit(project, server, seeds=2)
    failed = failed_by_moderation(client, server)
    assert ran(client) == 2
    client.lose(".")
    assert ran(client) == 2
    assert count(server, [client]).jobs == len(failed) == 2


def test_a_retry_is_a_new_job(project: Project, server: Rehearsal) -> None:
    client = Doit(project, server, seeds=2)
    failed = failed_by_moderation(client, server)
    key, other = sorted(failed)
    project.doit("retry", key, **client.environ)
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

    client.lose(".")  # the last attempt is the one that counts
    assert ran(client) == 2
    assert len(server.state()["jobs"]) == 3
    record = next(iter(project.records("model").values()))
    assert {record["details"]["job"]} == again
