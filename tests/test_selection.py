"""What words mean, the same on every command; what is broken hides nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.lab import MODEL, Lab
from tests.rehearsal.server import BASE

TINY = "model:tiny/tiny/echo/seed0"
EVAL = "eval:tiny/tiny/echo/seed0/score"


@pytest.mark.parametrize(
    "command",
    [
        *("run", "list", "clean", "plan", "why", "status", "results", "samples"),
        *("datasets", "jobs", "cancel", "retry", "spent", "forget", "ignore"),
    ],
)
def test_a_pattern_that_fits_nothing(command: str, tiny: Project) -> None:
    ran = tiny.doit(command, "eval:nothing*", code=3)
    assert "nothing*" in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_commands_that_take_no_names(tiny: Project) -> None:
    assert "takes no names" in tiny.doit("gc", "tiny", code=3).err


def test_a_pattern_of_doits_own_commands(tiny: Project) -> None:
    assert "made" in tiny.doit("run", "eval:*").out
    listed = tiny.doit("list", "eval:*").out
    assert EVAL in listed
    assert TINY not in listed
    assert f"removed {EVAL}" in tiny.doit("clean", "eval:tiny/tiny/*").out


def test_a_key_that_is_superseded(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    key, model = (tiny.records(kind) for kind in ("eval", "model"))
    old, was = key[EVAL]["key"], model[TINY]["key"]
    tiny.dataset("tiny", 4)
    tiny.doit("run", "tiny")
    now = tiny.records("model")[TINY]["key"]
    why = tiny.doit("why", was[:8]).out
    assert f"superseded by {now} (doit why {TINY})" in why
    assert "inputs.dataset" in why
    assert "a dummy eval" in tiny.doit("samples", old[:8], code=1).out
    for command in ("run", "plan", "retry", "clean", "results", "status"):
        said = tiny.doit(command, was[:8], code=3).err
        assert f"{was[:8]} is of {TINY} as it was; it is superseded by {now}" in said
    tiny.setting("tiny", datasets='[Dataset("datasets/tiny.jsonl", name="other")]')
    assert "no present setting has" in tiny.doit("plan", was, code=3).err


def test_a_job_on_commands_that_take_a_stage(lab: Lab) -> None:
    lab.setting(seeds="[0]")
    lab.run()
    (job,) = lab.jobs()
    stage = f"{MODEL}0"
    id = job["id"]
    assert json.loads(lab.doit("why", "--json", id).out)["stage"] == stage
    planned = json.loads(lab.doit("plan", "--json", id).out)
    assert stage in [intent["stage"] for intent in planned]
    assert lab.doit("run", id).up_to_date == {stage}
    assert stage in lab.doit("list", id).out
    assert "has its model" in lab.doit("retry", id, code=3).err
    assert [one["id"] for one in json.loads(lab.doit("jobs", "--json", id).out)] == [id]
    (lab.project.root / "zoo/other.py").write_text("1 / 0\n")
    assert lab.doit("why", id).out.startswith(stage)  # another setting is broken
    lab.project.dataset("tutor", 13)
    assert "superseded by" in lab.doit("why", id).out
    assert "had ended before" in lab.doit("cancel", id).out


def test_a_hint_of_a_run_with_variables(lab: Lab) -> None:
    """It is pasted as it stands, and works."""
    lab.setting(seeds="[0]", models='["dummy/echo"]', evals="[]", controls="False")
    lab.server.faults([{"fault": "moderation", "times": 1}])
    given = (f"model=openai/{BASE}", "seeds=3")
    out = lab.run(*given, code=2).out
    (hint,) = {
        line.split(": ")[-1] for line in out.splitlines() if "doit retry" in line
    }
    assert hint == f"doit retry {MODEL}3 {' '.join(given)}"
    out = lab.doit(*hint.split()[1:]).out
    hint = out.strip().splitlines()[-1].split(": ")[-1]
    assert lab.doit(*hint.split()[1:]).made == {f"{MODEL}3"}


class TestBroken:
    """One broken setting, or file, hides nothing of the others."""

    @pytest.fixture
    def mixed(self, tiny: Project) -> Project:
        tiny.doit("run", "tiny")
        tiny.write("zoo/broken.py", "1 / 0\n")
        tiny.write("zoo/lost.py", (tiny.root / "zoo/tiny.py").read_text())
        lost = tiny.root / "zoo/lost.py"
        lost.write_text(lost.read_text().replace("tiny.jsonl", "lost.jsonl"))
        return tiny

    def test_status(self, mixed: Project) -> None:
        told = json.loads(mixed.doit("status", "--json", code=1).out)
        assert told["settings"] == {"tiny": {"ok": 3}}
        assert "ZeroDivisionError" in told["broken"]["broken"]
        assert "lost.jsonl" in told["broken"]["lost"]
        assert "broken   lost: " in mixed.doit("status", code=1).out
        assert "ZeroDivisionError" in mixed.doit("status", "broken", code=3).err
        mixed.doit("status", "tiny")

    def test_list_and_datasets(self, mixed: Project) -> None:
        out = mixed.doit("list").out
        assert "a setting of the tests" in out
        assert "broken: zoo/broken.py:1: ZeroDivisionError" in out
        out = mixed.doit("list", "--all").out
        assert TINY in out
        assert "lost.jsonl" in out
        mixed.write("datasets/x.jsonl", "{").chmod(0)
        ran = mixed.doit("datasets", code=1)
        assert "tiny" in ran.out
        assert "broken   broken: zoo/broken.py:1" in ran.out

    def test_a_file_that_is_no_setting_by_its_name(self, mixed: Project) -> None:
        mixed.write("zoo/a=b.py", "")
        for ran in (mixed.doit("list"), mixed.doit("status", code=1)):
            assert "tiny" in ran.out
            assert "zoo/a=b.py: a setting is named by" in ran.out + ran.err

    def test_gc_names_all_that_is_broken_and_removes_nothing(
        self, mixed: Project
    ) -> None:
        before = mixed.tree()
        err = mixed.doit("gc", "--yes", "--keep=0", code=3).err
        assert "zoo/broken.py:1" in err
        assert "lost.jsonl" in err
        assert mixed.tree() == before


class TestHelp:
    @pytest.mark.parametrize(
        "command", ["run", "plan", "clean", "list", "jobs", "retry", "new", "info"]
    )
    def test_of_each_command(self, command: str, tiny: Project) -> None:
        tiny.write("zoo/broken.py", "1 / 0\n")
        ran = tiny.doit(command, "--help")
        assert ran.err == ""
        assert f" {command} " in ran.out

    def test_it_names_variables(self, tiny: Project) -> None:
        for ran in (tiny.doit("run", "--help"), tiny.doit("help", "run")):
            assert "max_spend=..." in ran.out
            assert "smoke=..." in ran.out
        out = tiny.doit("plan", "-h").out
        assert "model=..." in out
        assert "max_spend" not in out


def test_where_there_is_nothing_yet(project: Project) -> None:
    assert "doit new NAME" in project.doit("run", code=3).err
    (project.root / "dodo.py").unlink()
    assert "doit new NAME" in project.doit("run", code=3).err


def test_an_empty_folder(tmp_path: Path) -> None:
    """Only doit itself answers there; its list of commands has ours."""
    ran = subprocess.run(
        [sys.executable, "-m", "doit", "help"],
        cwd=tmp_path,
        env={**os.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "write a setting, a dataset and an eval that run" in ran.stdout
