"""Requests and answers that come late: an intent is as old as its request, and a look
is as old as its question."""

from __future__ import annotations

import time

from tests.conftest import Project
from tests.crash.client import Die
from tests.crash.harness import Doit, count
from tests.rehearsal.server import JOBS, Rehearsal


def test_a_look_that_took_longer_than_the_settle_time(
    project: Project, server: Rehearsal
) -> None:
    client = Doit(project, server, seeds=1)
    client.begin(0)
    server.faults(
        [
            {"fault": "lost", "on": f"POST {JOBS}$", "times": 1},
            {"fault": "slow", "on": f"GET {JOBS}$", "value": 1.5, "times": 2},
        ]
    )
    client.finish()
    assert count(server, [client]).jobs == 1


def test_a_death_while_many_wait_to_be_sent(
    project: Project, server: Rehearsal
) -> None:
    server.settings(list_lag=1)
    client = Doit(project, server, seeds=40, settle=1.8)
    client.begin(0)
    server.faults([{"fault": "slow", "on": f"POST {JOBS}$", "value": 1}])
    running = client.start()
    while len(server.state()["jobs"]) < 33:
        assert not running.ended(), running.out
        time.sleep(0.01)
    running.kill()
    assert running.wait() == -9
    server.faults([])
    again = client.start()
    assert again.wait() == 0, again.out
    counts = count(server, [client])
    assert (counts.jobs, counts.lost) == (40, 0)


def test_a_404_for_a_file_that_the_list_does_not_show_yet(
    project: Project, server: Rehearsal
) -> None:
    server.settings(list_lag=8)
    client = Doit(project, server, seeds=1, settle=10)
    client.begin(0)
    died = client.start(Die("after bind"))  # the upload's
    assert died.wait() == -9
    server.faults([{"fault": "file_gone", "times": 1}])
    client.finish()
    counts = count(server, [client])
    assert (counts.files, counts.jobs, counts.lost) == (1, 1, 0)
