"""`doit run --json`, and the exit codes of runs."""

from __future__ import annotations

import json
import shutil
import signal
import time
from typing import Any

import pytest

from tests.conftest import Project

TASKS = """
def loud():
    print("said on the standard output")

def task_loud():
    return {"actions": [loud, "echo by a program"], "verbosity": 2}

def task_wrong():
    return {"actions": ["exit 3"]}
"""


def events(out: str) -> list[dict[str, Any]]:
    """The events of an output, which holds nothing else."""
    found = [json.loads(line) for line in out.splitlines()]
    assert all({"event", "time"} <= set(event) for event in found)
    named = [event for event in found if "stage" in event]
    assert all({"setting", "kind", "key"} <= set(event) for event in named)
    return found


@pytest.fixture
def tiny(project: Project) -> Project:
    project.dataset("tiny")
    project.setting("tiny", seeds="[0, 1]")
    return project


def of(found: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [one for one in found if one["event"] == event]


def test_a_run_and_one_with_nothing_to_do(tiny: Project) -> None:
    found = events(tiny.doit("run", "tiny", "--json").out)
    assert (found[0]["event"], found[-1]["event"]) == ("run_started", "run_ended")
    assert found[0]["settings"] == ["tiny"]
    made = {one["stage"]: one for one in of(found, "stage_made")}
    assert {one["stage"] for one in of(found, "stage_started")} == set(made)
    model = made["model:tiny/tiny/echo/seed0"]
    assert (model["setting"], model["kind"], len(model["key"])) == ("tiny", "model", 32)
    assert made["eval:tiny/tiny/echo/seed0/score"]["results"]["score"]["mean"] >= 0
    assert found[-1]["counts"] == {"made": len(made)}
    assert (found[-1]["left"], found[-1]["again"]) == ({}, None)

    again = events(tiny.doit("run", "tiny", "--json").out)
    assert {one["event"] for one in again[:-1]} == {"up_to_date"}
    assert again[-1]["counts"] == {"up to date": 5}
    assert again[-1]["cost"] is None
    assert events(tiny.doit("run", "--reporter", "motools-json", "tiny").out)


def test_a_failure(tiny: Project) -> None:
    ran = tiny.doit(
        "run", "tiny", "--json", code=None, MOTOOLS_DUMMY_FAIL="tiny/echo/seed1"
    )
    assert ran.code in (1, 2)
    found = events(ran.out)
    (failed,) = of(found, "stage_failed")
    assert "was told to fail" in failed["error"]
    assert failed["remedy"] == f"doit run {failed['stage']}"
    (not_run,) = of(found, "stage_not_run")
    assert not_run["stage"].startswith("eval:tiny/tiny/echo/seed1")
    assert found[-1]["left"] == {"model": 1, "eval": 1}
    assert found[-1]["again"] == "doit run tiny"


def test_what_is_up_to_date_is_not_left(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    for folder in (tiny.root / "artifacts/eval").iterdir():
        shutil.rmtree(folder)
    found = events(tiny.doit("run", "tiny", "--json").out)
    assert found[-1]["counts"] == {"made": 3, "up to date": 2}
    assert (found[-1]["left"], found[-1]["again"]) == ({}, None)


def test_the_rest_is_made_by_whom_this_run_asked(tiny: Project) -> None:
    ran = tiny.doit(
        "run",
        "tiny",
        "executor=here",
        "--json",
        code=None,
        MOTOOLS_DUMMY_FAIL="tiny/echo/seed1",
    )
    assert events(ran.out)[-1]["again"] == "doit run tiny executor=here"


def test_only_events_are_on_standard_output(tiny: Project) -> None:
    tiny.write("dodo.py", (tiny.root / "dodo.py").read_text() + TASKS)
    ran = tiny.doit("run", "tiny", "loud", "wrong", "--json", code=1)
    found = events(ran.out)
    assert "said on the standard output" in ran.err
    assert "by a program" in ran.err
    own = {one["stage"]: one["event"] for one in found if one.get("kind") == "task"}
    assert own == {"loud": "stage_made", "wrong": "stage_failed"}


def test_what_is_refused(tiny: Project) -> None:
    ran = tiny.doit("run", "tinny", "--json", code=3)
    (refused,) = events(ran.out)
    assert refused["event"] == "refused"
    assert "tinny" in refused["error"]
    assert "tinny" in ran.err


@pytest.mark.real_process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal(tiny: Project, number: signal.Signals) -> None:
    process = tiny.start("run", "tiny", "--json", MOTOOLS_DUMMY_DELAY="60")
    assert process.stdout is not None
    lines = []
    while not any('"progress"' in line for line in lines):
        lines.append(process.stdout.readline())
        assert lines[-1]
    time.sleep(0.1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    found = events("".join(lines) + out)
    assert of(found, "stage_interrupted")
    assert found[-1]["event"] == "run_ended"
    assert found[-1]["interrupted"] is True
    assert found[-1]["left"]["model"] == 2
