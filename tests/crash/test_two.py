"""Two processes, two machines, a lost state: one live job for each key."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from tests.conftest import Project, furnish
from tests.crash.client import Die, Meet
from tests.crash.harness import Doit, count
from tests.rehearsal.server import Rehearsal

SETTLE = 2.0
"""The list lag, the second that `created_at` is told in, and some for a busy machine:
in it, every job that may come first is seen."""


def machines(tmp_path: Path, server: Rehearsal) -> list[Doit]:
    """Two folders of the same content, and one account."""
    both = []
    for name in ("one", "two"):
        client = Doit(furnish(tmp_path / name), server, seeds=4, settle=SETTLE)
        client.begin(0)
        both.append(client)
    return both


def meeting(tmp_path: Path) -> Meet:
    """Where both have looked for a first job, found none, and are about to send it."""
    folder = tmp_path / "meeting"
    folder.mkdir()
    return Meet("before intent", 2, folder)


def cancelled(server: Rehearsal) -> set[str]:
    jobs = server.state()["jobs"]
    return {job["id"] for job in jobs if job["status"] == "cancelled"}


def own(client: Doit) -> set[str]:
    """The jobs that this folder made."""
    return {entry["id"] for entry in client.ledger("bound") if not entry["adopted"]}


def test_two_processes_on_one_folder(project: Project, server: Rehearsal) -> None:
    client = Doit(project, server, seeds=5)
    client.begin(0)
    both = [client.start() for _ in range(2)]
    for running in both:
        assert running.wait() == 0, running.out
    counts = count(server, [client])
    assert counts.jobs == client.wanted
    assert counts.files == 1
    assert counts.lost == 0
    made = [line for running in both for line in running.out.splitlines()]
    assert len([line for line in made if " made in " in line]) == 1 + client.wanted


def test_two_machines_converge(tmp_path: Path, server: Rehearsal) -> None:
    cancelling = "POST /v1/fine_tuning/jobs/"
    server.faults([{"fault": "error", "probability": 0.5, "on": cancelling}])
    server.settings(seconds=2 * SETTLE)  # a job that has ended cannot be cancelled
    both, meet = machines(tmp_path, server), meeting(tmp_path)
    runs = [client.start(meet) for client in both]
    for running in runs:
        assert running.wait() == 0, running.out
    counts = count(server, both)
    assert counts.extra_jobs > 0  # or there was nothing to agree on
    assert counts.duplicate_jobs == counts.lost == 0
    assert sorted(both[0].made()) == sorted(both[1].made())
    gave_way = [{e["id"] for e in client.ledger("cancelled")} for client in both]
    assert gave_way[0] <= own(both[0])
    assert gave_way[1] <= own(both[1])
    assert gave_way[0] | gave_way[1] == cancelled(server)


def test_who_died_before_giving_way_gives_way_later(
    tmp_path: Path, server: Rehearsal
) -> None:
    server.settings(seconds=20)
    both, meet = machines(tmp_path, server), meeting(tmp_path)
    runs = [client.start(meet) for client in both]
    while sum(client.bound() for client in both) < 8:
        assert not any(running.ended() for running in runs), runs[0].out + runs[1].out
        time.sleep(0.02)
    for running in runs:
        running.kill()
        running.wait()
    for client in both:
        shutil.rmtree(client.artifacts / "state")
    dying = [client.start(Die("before giving way")) for client in both]
    while not any(running.ended() for running in dying):
        time.sleep(0.02)
    for running in dying:
        running.kill()
        assert running.wait() == -9, running.out
    runs = [client.start() for client in both]
    while count(server, both).duplicate_jobs:
        assert not any(running.ended() for running in runs), runs[0].out + runs[1].out
        time.sleep(0.02)
    server.settings(seconds=0)
    for running in runs:
        assert running.wait() == 0, running.out
    assert count(server, both).extra_jobs == len(cancelled(server)) > 0
    assert sorted(both[0].made()) == sorted(both[1].made())
