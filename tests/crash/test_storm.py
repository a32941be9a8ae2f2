"""Killed at random while answers get lost: nothing is paid for twice, nothing is lost.

    MOTOOLS_KILLS=300 pytest tests/crash/test_storm.py    # 6 by default

The long storm that prints figures is `python benchmarks/crash.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.conftest import Project
from tests.crash.client import Die
from tests.crash.harness import POINTS, Doit, count, storm
from tests.crash.naive import Naive
from tests.rehearsal.server import JOBS, Rehearsal

KILLS = int(os.environ.get("MOTOOLS_KILLS", "6"))
"""That land in mid work."""


def test_a_storm_of_kills_and_lost_answers(project: Project, server: Rehearsal) -> None:
    client = Doit(project, server, seeds=4)
    counts = storm(server, client, KILLS)
    assert counts.kills == KILLS
    assert counts.between_intent_and_bind > 0
    assert counts.duplicate_jobs == counts.duplicate_files == counts.lost == 0
    assert counts.jobs - counts.extra_jobs == client.wanted
    assert counts.files == len(client.names)
    assert counts.untold == 0


def test_the_storm_finds_what_a_naive_client_does(
    tmp_path: Path, server: Rehearsal
) -> None:
    client = Naive(tmp_path, server, seeds=5)
    # an answer of each kind is lost for sure; the SDK then sends again by itself
    creations = ("POST /v1/files", f"POST {JOBS}$")
    server.faults([{"fault": "lost", "on": on, "times": 1} for on in creations])
    client.begin(1000)
    client.finish()
    counts = storm(server, client, kills=5)
    assert counts.duplicate_jobs > 0
    assert counts.duplicate_files > 0


def test_a_death_at_every_named_point(project: Project, server: Rehearsal) -> None:
    server.settings(list_lag=0.1, seconds=0.1)
    client = Doit(project, server, seeds=2, settle=0.3)
    lost = {"fault": "lost", "times": 1}
    for number, point in enumerate(POINTS):
        client.begin(number)
        for on in ("POST /v1/files", f"POST {JOBS}$"):  # the upload's, then a job's
            if point == "after a lost answer":
                server.faults([{**lost, "on": on}])
            died = client.start(Die(point))
            assert died.wait() == -9, (point, died.out)
    client.finish()
    counts = count(server, [client])
    assert counts.jobs == client.wanted
    assert counts.files == len(POINTS)
    assert counts.lost == 0
