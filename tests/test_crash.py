"""A run may be killed at any moment; what it had recorded stays, and the rest is made.

MOTOOLS_KILLS=100 pytest tests/test_crash.py    # 3 by default, each in mid work
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from motools_build.store.records import Record
from tests.conftest import Project, furnish

pytestmark = pytest.mark.real_process

KILLS = int(os.environ.get("MOTOOLS_KILLS", "3"))

SEED = 20

STARTING = 0.1
"""Share of kills that are counted from the start of the process: it mostly imports."""

SEEDS = 25
STAGES = 1 + SEEDS + SEEDS
"""An upload, and a model and an eval for each seed."""

KINDS = ("base", "upload", "model", "eval")

DELAY = {"MOTOOLS_DUMMY_DELAY": "0.05"}

Recorded = dict[str, tuple[int, bytes]]
"""Record's path -> its time of modification in nanoseconds, its bytes."""


def begin(project: Project, number: int) -> str:
    """A setting of 25 models and 25 evals, of rows and seeds that no other has."""
    name, first = f"many{number}", number * SEEDS
    project.dataset(name, first=100 * number)
    seeds = f"[*range({first}, {first + SEEDS})]"
    project.setting(name, seeds=seeds, controls="False")
    return name


def test_a_build_that_is_killed_again_and_again(
    project: Project, tmp_path: Path
) -> None:
    moments = random.Random(SEED)
    project.doit("run", begin(project, 0), **DELAY)
    span = seconds_to_make(project)
    names_of: list[str] = []
    done = recorded_in(project.root)
    landed = 0
    while landed < KILLS:
        name = begin(project, len(names_of) + 1)
        names_of.append(name)
        outs: list[str] = []
        before = recorded = dict(done)
        while landed < KILLS and len(recorded) < len(before) + STAGES:
            making = moments.random() > STARTING
            out, killed = killed_run(project, name, making, moments.uniform(0, span))
            outs.append(out)
            now = recorded_in(project.root)
            landed += killed and len(now) < len(before) + STAGES
            assert {path: now.get(path) for path in recorded} == recorded
            recorded = now
            assert "Traceback" not in out
            said = project.doit("verify").out
            assert said.endswith(f"{len(now)} artifacts, 0 broken\n")
        last = project.doit("run", name, **DELAY)  # it would wait for a lock in vain
        done = recorded_in(project.root)
        assert {path: done[path] for path in recorded} == recorded
        assert names(recorded).isdisjoint(made_lines(last.out))
        assert len(done) == len(before) + STAGES
        assert len(made_lines(last.out)) == len(done) - len(recorded)
        assert project.doit("run", name).made == set()
        said_made = [line for out in [*outs, last.out] for line in made_lines(out)]
        assert len(said_made) == len(set(said_made))
    calm = furnish(tmp_path / "calm")
    for number in range(len(names_of) + 1):
        begin(calm, number)
    calm.doit("run", "many0", *names_of)
    assert identities(recorded_in(calm.root)) == identities(done)


def test_four_runs_at_once_on_a_fresh_project(project: Project) -> None:
    name = begin(project, 0)
    runs = [project.start("run", name, **DELAY) for _ in range(4)]
    outs = []
    for process in runs:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
        outs.append(out)
    said = [line for out in outs for line in made_lines(out)]
    assert len(said) == STAGES, "\n".join(outs)
    assert len(set(said)) == STAGES
    assert set(said) == names(recorded_in(project.root))
    told = f"1 snapshots, 0 broken\n{STAGES} artifacts, 0 broken\n"
    assert project.doit("verify").out == told


def seconds_to_make(project: Project) -> float:
    """How long the last build took, from its first record to its last."""
    times = [time for time, _ in recorded_in(project.root).values()]
    return (max(times) - min(times)) / 1e9 + float(DELAY["MOTOOLS_DUMMY_DELAY"])


def killed_run(
    project: Project, name: str, making: bool, seconds: float
) -> tuple[str, bool]:
    """The output of a run that was killed so long after it began to make something,
    or after it was started, and whether that was in mid work: between the two ends."""
    log = project.root / "artifacts/runs.jsonl"
    before = log.stat().st_size if log.exists() else 0
    process = project.start("run", name, **DELAY)
    while process.poll() is None:
        if not making or (log.exists() and log.stat().st_size > before):
            time.sleep(seconds)
            break
        time.sleep(0.002)
    process.kill()
    out, err = process.communicate()
    assert process.returncode in (0, -9), out + err
    began = log.exists() and log.stat().st_size > before
    return out, began and process.returncode == -9


def recorded_in(root: Path) -> Recorded:
    """Every record of a project; whatever folder there is must hold a whole one."""
    recorded: Recorded = {}
    for kind in KINDS:
        for folder in (root / "artifacts" / kind).glob("*"):
            path = folder / "record.json"
            data = path.read_bytes()
            record = Record.decode(data)
            assert record is not None, path
            assert folder.name == f"{record.backend}-{record.key}"
            place = str(path.relative_to(root))
            recorded[place] = (path.stat().st_mtime_ns, data)
    return recorded


def identities(recorded: Recorded) -> dict[str, tuple[str, Any]]:
    """Record's path, which has the key in it -> output and payload."""
    found = {}
    for path, (_, data) in recorded.items():
        record = json.loads(data)["record"]
        found[path] = (record["output"], record["payload"])
    return found


def names(recorded: Recorded) -> set[str]:
    return {json.loads(data)["record"]["name"] for _, data in recorded.values()}


def made_lines(out: str) -> list[str]:
    """The stages that a run says it has made, one for each line that says so."""
    return [line.split()[0] for line in out.splitlines() if "  made in " in line]
