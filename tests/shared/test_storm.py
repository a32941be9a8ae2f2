"""Two machines, one bucket, one account: killed at random, cut off at every request.

    MOTOOLS_KILLS=4 pytest -m long tests/shared/test_storm.py    # 20 times as many

The provider's own convergence (the later of two jobs is cancelled) would hide that both
machines paid; so the storm counts every job that was ever created.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import furnish
from tests.crash.client import Act, Die, Meet, Running, start
from tests.crash.harness import FAULTS, POINTS, Client, Doit, count, lost, told
from tests.rehearsal.server import Rehearsal
from tests.shared import disks
from tests.shared.servers import Bucket

KILLS = int(os.environ.get("MOTOOLS_KILLS", "4"))
"""That come while the killed run has something to do; at least so many."""

CUTS = 0.1
"""Of the requests to the store, half of them after they were carried out."""

CLAIM_POINTS = ("before claim", "after claim")

DISK_POINTS = ("before a request", "after a request")
"""Of any request to a folder, so that a process dies between two of its writes."""


@dataclass
class Teammate(Doit):
    """`doit run` in a folder whose project has a shared store."""

    bucket: Bucket | None = None
    points: tuple[str, ...] = (*POINTS, *CLAIM_POINTS, *CLAIM_POINTS)
    failed: list[str] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        assert self.bucket
        return {**super().environ, **self.bucket.environ}

    def command(self, args: tuple[str, ...], act: Act | None = None) -> Running:
        assert self.bucket
        if not self.bucket.is_folder:
            return super().command(args, act)
        given = self.environ, args, act, self.bucket.proxy.cuts
        return start(disks.doit, self.project.root, *given)


def teammates(
    tmp_path: Path, server: Rehearsal, bucket: Bucket, seeds: int
) -> list[Teammate]:
    """Two folders of the same content, one account and one store."""
    both = []
    for name in ("one", "two"):
        project = furnish(tmp_path / name)
        with (project.root / "pyproject.toml").open("a") as file:
            file.write(f'\n[tool.motools_build]\nstore = "{bucket.address}"\n')
        both.append(Teammate(project, server, seeds, bucket=bucket))
        if bucket.is_folder:
            both[-1].points += (*DISK_POINTS, *DISK_POINTS)
    return both


def act(client: Teammate, moments: random.Random) -> Act | None:
    """For every second run, a point at which it dies."""
    if moments.random() < 0.5:
        return None
    point = moments.choice(client.points)
    return Die(point, moments.randint(1, 40 if point in DISK_POINTS else 3))


def storm(
    both: list[Teammate],
    server: Rehearsal,
    keys: int,
    kills: int,
    moments: random.Random,
) -> int:
    """Kill the two at random until so many kills have landed and so many keys were
    begun; returns the number of kills."""
    assert both[0].bucket
    server.faults(FAULTS)
    both[0].bucket.proxy.cuts = CUTS
    landed = number = 0
    running: dict[int, tuple[Running, float | None]] = {}
    while landed < kills or both[0].wanted < keys:
        if both[0].wanted == 0 or (landed and landed % 3 == 0) or _made(both):
            for client in both:
                client.begin(number)
            number += 1
        for at, client in enumerate(both):
            dies = act(client, moments)
            delay = None if dies else moments.uniform(0, 2.5)
            end = None if delay is None else time.monotonic() + delay
            running[at] = client.start(dies), end
        while running:
            for at, (run, end) in list(running.items()):
                if end is not None and time.monotonic() >= end:
                    run.kill()
                if not run.ended():
                    continue
                del running[at]
                code = run.wait()
                if code == -9:
                    landed += 1
                    lost(both[at], moments)
                elif code:
                    both[at].failed.append(run.out)
            time.sleep(0.005)
    return landed


def _made(both: list[Teammate]) -> bool:
    return any(len(client.made()) == client.wanted for client in both)


def check(both: list[Teammate], server: Rehearsal) -> None:
    """Let both finish in peace; then nothing was paid twice, and nothing is lost."""
    assert both[0].bucket
    server.faults([])
    both[0].bucket.proxy.cuts = 0.0
    for client in both:
        client.finish()
    clients: list[Client] = [*both]
    counts = count(server, clients)
    assert (counts.extra_jobs, counts.lost) == (0, 0), counts
    assert counts.jobs == both[0].wanted
    assert sorted(both[0].made()) == sorted(both[1].made())
    mute = [out for client in both for out in client.failed if not told(out)]
    assert not mute, mute[0]


@pytest.fixture(params=["s3", "disk"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """A bucket, and a folder on a disk that both mount."""
    found: Bucket = request.getfixturevalue(request.param)
    return found


def test_two_machines_in_a_storm(
    tmp_path: Path, server: Rehearsal, bucket: Bucket
) -> None:
    both = teammates(tmp_path, server, bucket, seeds=3)
    storm(both, server, 3, KILLS, random.Random(7))
    check(both, server)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["s3", "az", "disk"])
def test_two_hundred_keys_in_a_storm(
    kind: str, tmp_path: Path, server: Rehearsal, request: pytest.FixtureRequest
) -> None:
    bucket: Bucket = request.getfixturevalue(kind)
    both = teammates(tmp_path, server, bucket, seeds=10)
    kills = storm(both, server, 200, 20 * KILLS, random.Random(11))
    print(f"{kind}: {both[0].wanted} keys, {kills} kills, {dict(bucket.proxy.counts)}")
    check(both, server)


def test_a_death_at_each_point_and_a_colleague_takes_over(
    tmp_path: Path, server: Rehearsal, s3: Bucket
) -> None:
    server.settings(list_lag=0.1, seconds=0.1)
    one, two = teammates(tmp_path, server, s3, seeds=2)
    points = ("before claim", "after claim", "after intent", "after the answer")
    for number, point in enumerate(points):
        for client in (one, two):
            client.begin(number)
        died = one.start(Die(point))
        assert died.wait() == -9, (point, died.out)
        run = two.start()
        assert run.wait() == 0, (point, run.out)
    check([one, two], server)


@pytest.mark.parametrize("kind", ["s3", pytest.param("az", marks=pytest.mark.long)])
def test_paid_work_is_refused_where_conditions_are_ignored(
    kind: str, tmp_path: Path, server: Rehearsal, request: pytest.FixtureRequest
) -> None:
    bucket: Bucket = request.getfixturevalue(kind)
    bucket.proxy.ignores_conditions = True
    one, two = teammates(tmp_path, server, bucket, seeds=2)
    for client in (one, two):
        client.begin(0)
        run = client.start()
        assert run.wait() == 2
        assert "ignores conditional writes" in run.out
    assert server.state()["jobs"] == []
    bucket.proxy.ignores_conditions = False
    check([one, two], server)


def test_paid_work_is_refused_offline_unless_told_otherwise(
    tmp_path: Path, server: Rehearsal, s3: Bucket
) -> None:
    one, two = teammates(tmp_path, server, s3, seeds=1)
    one.begin(0)
    two.begin(0)
    s3.proxy.is_down = True
    run = one.start()
    assert run.wait() == 2
    assert "offline=pay" in run.out
    assert server.state()["jobs"] == []
    run = one.command(("run", "storm0", "offline=pay"))
    assert run.wait() == 0, run.out
    s3.proxy.is_down = False
    check([one, two], server)


def met(tmp_path: Path, both: list[Teammate], point: str, nth: int) -> None:
    """Run both, which wait for each other at a point: where each has looked for a job,
    found none, and is about to go on."""
    folder = tmp_path / "meeting"
    folder.mkdir()
    for client in both:
        client.begin(0)
    for run in [client.start(Meet(point, nth, folder)) for client in both]:
        assert run.wait() == 0, run.out
    assert len([*folder.iterdir()]) == 2


def test_both_about_to_claim_and_one_pays(
    tmp_path: Path, server: Rehearsal, s3: Bucket
) -> None:
    both = teammates(tmp_path, server, s3, seeds=4)
    met(tmp_path, both, "before claim", 1)
    check(both, server)


def test_without_claims_both_pay(tmp_path: Path, server: Rehearsal, s3: Bucket) -> None:
    """The count finds what it looks for: two folders without a store converge only
    after both have paid."""
    both = teammates(tmp_path, server, s3, seeds=4)
    for client in both:
        file = client.project.root / "pyproject.toml"
        file.write_text(file.read_text().partition("\n[tool.motools_build]")[0])
    met(tmp_path, both, "before intent", 2)
    clients: list[Client] = [*both]
    assert count(server, clients).extra_jobs > 0
