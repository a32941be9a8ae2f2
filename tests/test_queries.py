"""plan, why, status, gc and verify: they say what is, and change nothing unasked."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motools_build.keys import Key
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from tests.conftest import Project

MODEL = "model:tiny/tiny/echo/seed0"
EVAL = "eval:tiny/tiny/echo/seed0/score"
BASE_EVAL = "eval:tiny/base/echo/score"
UPLOAD = "upload:tiny/tiny/dummy"


def actions(project: Project, *words: str) -> dict[str, str]:
    out = project.doit("plan", "--json", *words).out
    return {intent["stage"]: intent["action"] for intent in json.loads(out)}


def why(project: Project, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.doit("why", "--json", *words).out)
    return found


class TestPlan:
    def test_it_says_what_a_run_then_does(self, tiny: Project) -> None:
        run = {stage for stage, action in actions(tiny, "tiny").items()}
        assert run == {BASE_EVAL, UPLOAD, MODEL, EVAL}
        assert tiny.tree() == {}
        assert tiny.doit("run", "tiny").made == run
        assert set(actions(tiny, "tiny").values()) == {"up to date"}

    def test_a_selected_eval_brings_its_model(self, tiny: Project) -> None:
        assert actions(tiny, EVAL) == dict.fromkeys([UPLOAD, MODEL, EVAL], "run")

    def test_what_is_not_known_is_a_question_mark(self, tiny: Project) -> None:
        assert "time ?; cost: $0" in tiny.doit("plan", "tiny").out
        tiny.doit("run", "tiny")
        out = tiny.doit("plan", "tiny", "seeds=1").out
        assert "2 run" in out
        assert "time ~0 s; cost: $0" in out

    def test_a_failure_is_told(self, tiny: Project) -> None:
        tiny.doit("run", "tiny", code=2, MOTOOLS_DUMMY_FAIL="model:")
        out = tiny.doit("plan", "tiny").out
        assert "(failed before: the dummy backend was told to fail" in out

    def test_rows_that_a_run_would_refuse(self, tiny: Project) -> None:
        file = tiny.dataset("tiny", 4)
        file.write_text(file.read_text() + '{"messages": []}\n{"messages": 1}\n')
        plan = tiny.doit("plan", "tiny").out
        said = "(datasets/tiny.jsonl:5: no "
        assert f"blocked     model:tiny/tiny/echo/seed0  {said}" in plan
        assert "(and 1 more: doit datasets)" in plan
        assert "blocked     eval:tiny/tiny/echo/seed0/score" in plan
        assert "datasets/tiny.jsonl:5: no" in tiny.doit("run", "tiny", code=3).err

    def test_words_that_mean_nothing(self, tiny: Project) -> None:
        assert "did you mean 'tiny'?" in tiny.doit("plan", "tinny", code=3).err
        assert (
            "no dataset, arm or eval has the tag"
            in tiny.doit(*("plan", "tag:none"), code=3).err
        )


def test_a_tag_selects(tiny: Project) -> None:
    evals = '[Eval("dummy/score", tags=["fast"]), Eval("dummy/other")]'
    tiny.setting("tiny", evals=evals)
    assert set(actions(tiny, "tag:fast")) == {BASE_EVAL, UPLOAD, MODEL, EVAL}
    assert tiny.doit("run", "tag:fast").made == {BASE_EVAL, UPLOAD, MODEL, EVAL}


class TestWhy:
    def test_a_changed_field_is_named_old_and_new(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        tiny.setting("tiny", training="Training(epochs=7)")
        found = why(tiny, MODEL)
        assert found["differences"] == [["spec.epochs", 3, 7]]
        assert found["nearest"]["name"] == MODEL
        assert "spec.epochs              3 -> 7" in tiny.doit("why", MODEL).out

    def test_a_changed_dataset_is_named(
        self, tiny: Project, edit: Callable[[Path, str, str], None]
    ) -> None:
        tiny.doit("run", "tiny")
        edit(tiny.root / "datasets/tiny.jsonl", "1 + 0", "1 + 9")
        ((field, old, new),) = why(tiny, MODEL)["differences"]
        assert field == "inputs.dataset"
        assert old != new

    def test_an_evals_model_is_shown_recorded_and_present(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        outputs = why(tiny, EVAL)["upstream"][MODEL]
        assert outputs["recorded"] == outputs["present"]
        shutil.rmtree(tiny.root / "artifacts/model")
        assert why(tiny, EVAL)["upstream"][MODEL]["present"] is None

    def test_a_key_prefix_names_a_stage(self, tiny: Project) -> None:
        key = why(tiny, MODEL)["key"]
        assert why(tiny, key[:8])["stage"] == MODEL

    def test_it_explains_one_stage(self, tiny: Project) -> None:
        assert MODEL in tiny.doit("why", "tiny", code=3).err


class TestStatus:
    def status(self, project: Project, code: int) -> dict[str, int]:
        out = project.doit("status", "--json", code=code).out
        found: dict[str, int] = json.loads(out)["settings"]["tiny"]
        return found

    def test_from_missing_to_complete_to_stale(
        self, tiny: Project, edit: Callable[[Path, str, str], None]
    ) -> None:
        assert self.status(tiny, 1) == {"missing": 3}
        tiny.doit("run", "tiny", code=2, MOTOOLS_DUMMY_FAIL="model:")
        assert self.status(tiny, 1) == {"ok": 1, "failed": 2}
        tiny.doit("run", "tiny")
        assert self.status(tiny, 0) == {"ok": 3}
        edit(tiny.root / "datasets/tiny.jsonl", "1 + 0", "1 + 9")
        assert self.status(tiny, 1) == {"ok": 1, "stale": 2}
        assert "up to date" in tiny.doit("status", code=1).out

    def test_what_is_being_made_is_running(self, tiny: Project) -> None:
        process = tiny.start("run", "tiny", MOTOOLS_DUMMY_DELAY="60")
        work = tiny.root / "artifacts/work"
        deadline = time.monotonic() + 60
        while not (work.exists() and len(list(work.iterdir())) >= 2):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)
        assert self.status(tiny, 1) == {"running": 3}
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert self.status(tiny, 1) == {"missing": 3}


class TestGc:
    def test_only_what_nothing_refers_to(self, tiny: Project) -> None:
        tiny.doit("run", "tiny", "seeds=0,1")
        before = tiny.tree()
        assert "0 artifacts" in tiny.doit("gc", "--yes").out  # a recent run's
        out = tiny.doit("gc", "--keep=0").out
        assert "would remove model:tiny/tiny/echo/seed1" in out
        assert out.endswith("; `doit gc --keep=0 --yes` does it\n")
        assert tiny.tree() == before
        assert "removed 2 artifacts" in tiny.doit("gc", "--keep=0", "--yes").out
        assert tiny.doit("run", "tiny").made == set()
        assert len(tiny.tree()) < len(before)

    def test_the_oldest_go_first_and_never_what_a_setting_uses(
        self, tiny: Project
    ) -> None:
        tiny.doit("run", "tiny", "seeds=0,1")
        out = tiny.doit("gc", "--max-size=1", "--yes").out
        assert "removed 2 artifacts" in out
        assert tiny.doit("run", "tiny").made == set()
        assert (
            "write a number of bytes"
            in tiny.doit(*("gc", "--max-size=much"), code=3).err
        )

    def test_what_a_run_under_way_uses_is_kept(self, tiny: Project) -> None:
        tiny.doit("run", "tiny", "seeds=0,1")
        (key,) = (
            record["key"]
            for name, record in tiny.records("model").items()
            if name.endswith("seed1")
        )
        stage = Stage("model", "dummy", "model:tiny/x", Key(key), {}, None)
        store = ArtifactStore(tiny.root / "artifacts")
        with store.live.using([stage]):
            out = tiny.doit("gc", "--max-size=1", "--yes").out
            assert "kept model:tiny/tiny/echo/seed1: a run is using it" in out
            assert "removed 1 artifacts" in out
            out = tiny.doit("clean", "tiny", "seeds=0,1").out
            assert "kept model:tiny/tiny/echo/seed1: a run is using it" in out
        assert "removed 1 artifacts" in tiny.doit("gc", "--max-size=1", "--yes").out

    @pytest.mark.parametrize(
        "option", ["--keep=nan", "--keep=-1", "--max-size=1e999GB", "--max-size=-1"]
    )
    def test_sizes_and_days_that_are_none(self, tiny: Project, option: str) -> None:
        assert "write a number of" in tiny.doit("gc", option, code=3).err

    def test_it_refuses_where_it_cannot_know(self, tiny: Project) -> None:
        tiny.doit("run", "tiny", "seeds=0,1")
        tiny.write("zoo/broken.py", "1 / 0\n")
        before = tiny.tree()
        err = tiny.doit("gc", "--keep=0", "--yes", code=3).err
        assert "nothing was removed" in err
        assert tiny.tree() == before


@pytest.mark.real_process
def test_gc_lists_each_of_several_artifacts_of_one_name(
    tiny: Project, edit: Callable[[Path, str, str], None]
) -> None:
    tiny.doit("run", "tiny")
    for old, new in (("1 + 1", "1 + 7"), ("1 + 7", "1 + 8")):
        edit(tiny.root / "datasets/tiny.jsonl", old, new)
        tiny.doit("run", "tiny")
    told = json.loads(tiny.doit("gc", "--keep=0", "--json").out)
    found = told["artifacts"]
    models = [one for one in found if one["name"] == "model:tiny/tiny/echo/seed0"]
    assert len({one["key"] for one in models}) == 2
    both = (*found, *told["snapshots"])
    assert sum(one["bytes"] for one in both) == told["bytes"]
    lines = tiny.doit("gc", "--keep=0").out.splitlines()
    assert len(lines) == len(found) + 3  # snapshots, what is left, the sum
    for one in found:
        assert any(one["key"][:8] in line for line in lines)


def test_a_reader_that_ends_is_no_error(tiny: Project) -> None:
    for words in ("plan tiny", "list --all", f"why {MODEL}", "results tiny"):
        process = tiny.start(*words.split())
        assert process.stdout is not None
        process.stdout.close()
        process.wait(60)
        assert process.stderr is not None
        assert process.stderr.read() == ""
        process.stderr.close()
        # rich ends by 1 where a table is being printed
        assert process.returncode in (1, 128 + signal.SIGPIPE)


def test_rows_that_are_refused_block_all_that_a_run_would_make(tiny: Project) -> None:
    tiny.write("datasets/tiny.jsonl", '{"messages": []}\n')
    told = json.loads(tiny.doit("plan", "tiny", "--json").out)
    assert {line["action"] for line in told} == {"blocked"}
    assert tiny.doit("run", "tiny", code=3).made == set()


def test_an_account_that_is_not_there_is_refused_also_where_none_pays(
    tiny: Project,
) -> None:
    err = tiny.doit("run", "tiny", "account=lab", code=3).err
    assert "there is no account 'lab'" in err


def test_why_says_what_is_not_made_yet(tiny: Project) -> None:
    out = tiny.doit("why", "eval:tiny/tiny/echo/seed0/score").out
    assert "\nto be made from model:tiny/tiny/echo/seed0\n" in out
    assert "None" not in out
    assert "gone" not in out


class TestClean:
    """`doit clean` with variables leaves what the rest of the setting uses."""

    def kept(self, project: Project, *words: str) -> set[str]:
        out = project.doit("clean", "tiny", *words).out
        return {
            line.removeprefix("kept ").partition(": ")[0]
            for line in out.splitlines()
            if line.endswith(": the rest of tiny uses it")
        }

    def test_the_other_seeds(self, tiny: Project) -> None:
        tiny.setting("tiny", seeds="[0, 1]")
        tiny.doit("run", "tiny")
        kept = self.kept(tiny, "seeds=1")
        assert "eval:tiny/base/echo/score" in kept
        assert not any("seed1" in name for name in kept)
        assert tiny.doit("run", "tiny", "seeds=0").made == set()
        made = tiny.doit("run", "tiny").made
        assert made == {"model:tiny/tiny/echo/seed1", "eval:tiny/tiny/echo/seed1/score"}

    def test_seeds_that_the_setting_does_not_have(self, tiny: Project) -> None:
        tiny.doit("run", "tiny", "seeds=0,7")
        assert "eval:tiny/base/echo/score" in self.kept(tiny, "seeds=7")
        assert tiny.doit("run", "tiny").made == set()

    def test_all_of_it(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        assert self.kept(tiny, "seeds=0") == set()
        assert not tiny.records("eval")
        assert tiny.doit("clean", "tiny").out == "nothing to remove\n"


def test_gc_removes_what_killed_runs_left(tiny: Project) -> None:
    process = tiny.start("run", "tiny", MOTOOLS_DUMMY_DELAY="60")
    work = tiny.root / "artifacts/work"
    deadline = time.monotonic() + 60
    while not (work.exists() and list(work.iterdir())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "leftovers" not in tiny.doit("gc").out  # they are being made
    (live,) = (tiny.root / "artifacts/live").glob("*.json")
    assert len(json.loads(live.read_bytes())) >= 3
    process.kill()
    process.communicate()
    assert "leftovers of runs that were killed" in tiny.doit("gc", "--yes").out
    assert list(work.iterdir()) == []
    assert list(live.parent.iterdir()) == []


class TestVerify:
    @pytest.mark.parametrize("name", ["record.json", "answers.json"])
    def test_every_byte_counts(self, tiny: Project, name: str) -> None:
        tiny.doit("run", "tiny")
        assert "4 artifacts, 0 broken" in tiny.doit("verify").out
        (file,) = (tiny.root / "artifacts/model").glob(f"*/{name}")
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        assert "4 artifacts, 1 broken" in tiny.doit("verify", code=1).out
        found = json.loads(tiny.doit("verify", "--json", "--repair", code=1).out)
        assert len(found["broken"]) == 1
        assert tiny.doit("run", "tiny").made - {UPLOAD} == {MODEL}
        assert "0 broken" in tiny.doit("verify").out


def test_hits_and_misses_are_logged_with_reasons(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.doit("run", "tiny", "seeds=0,1")
    log = (tiny.root / "artifacts/logs/doit.log").read_text()
    assert f"miss {MODEL} " in log
    assert ": not made yet" in log
    assert re.search(f"hit in tiny: .*{MODEL}", log)
    assert f"made {EVAL} " in log


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("results", "--diferences"),
            "ERROR: option --diferences not recognized; did you mean 'differences'?",
        ),
        (("plan", "-q"), "ERROR: option -q not recognized\n"),
        (
            ("gc", "--keep", "x"),
            "ERROR: option --keep x: write a number\n",
        ),
    ],
)
def test_a_wrong_option_is_named(
    project: Project, words: tuple[str, ...], told: str
) -> None:
    ran = project.doit(*words, code=3)
    assert ran.err.startswith(told)
    assert "CmdOption" not in ran.err
