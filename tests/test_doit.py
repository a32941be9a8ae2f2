"""`doit`, as a person uses it: on the dummy backend, in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from motools_build.serving.lookup import find_model
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record
from tests.conftest import ROOT, Project

MODEL = "model:tiny/tiny/echo/seed0"
EVAL = "eval:tiny/tiny/echo/seed0/score"
BASE_EVAL = "eval:tiny/base/echo/score"
UPLOAD = "upload:tiny/tiny/dummy"

NOT_NEEDED = ("memo.json", "lock", ".doit.db")
HEAVY = ("numpy", "torch", "inspect_ai", "openai", "pandas", "transformers")
MAKING = (
    *("motools_build.running.runtime", "motools_build.running.launch.registry"),
    *("motools_build.backends.job", "motools_build.project.remote"),
)
"""What makes stages, and asks providers."""

Edit = Callable[[Path, str, str], None]


class TestStaleness:
    def test_a_run_makes_everything_once(self, tiny: Project) -> None:
        assert tiny.doit("run", "tiny").made == {BASE_EVAL, UPLOAD, MODEL, EVAL}
        before = tiny.tree()
        again = tiny.doit("run", "tiny")
        assert again.made == set()
        assert again.up_to_date == {BASE_EVAL, MODEL, EVAL}
        assert tiny.tree() == before

    def test_an_edited_row_and_its_undoing(self, tiny: Project, edit: Edit) -> None:
        tiny.doit("run", "tiny")
        dataset = tiny.root / "datasets/tiny.jsonl"
        edit(dataset, "1 + 0", "1 + 9")
        assert tiny.doit("run", "tiny").made == {UPLOAD, MODEL, EVAL}
        edit(dataset, "1 + 9", "1 + 0")
        assert tiny.doit("run", "tiny").made == set()

    def test_a_touch_a_move_and_a_rename_run_nothing(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        dataset = tiny.root / "datasets/tiny.jsonl"
        os.utime(dataset)
        assert tiny.doit("run", "tiny").made == set()
        dataset.rename(tiny.root / "datasets/moved.jsonl")
        tiny.setting("tiny", datasets='[Dataset("datasets/moved.jsonl")]')
        assert tiny.doit("run", "tiny").made == set()
        (tiny.root / "zoo/tiny.py").rename(tiny.root / "zoo/renamed.py")
        assert tiny.doit("run", "renamed").made == set()

    def test_more_seeds_run_only_those(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        assert tiny.doit("run", "tiny", "seeds=0,1").made == {
            "model:tiny/tiny/echo/seed1",
            "eval:tiny/tiny/echo/seed1/score",
        }

    def test_only_artifacts_matter(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        for path in tiny.root.rglob("*"):
            if path.name == "__pycache__" or path.name in NOT_NEEDED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in ("logs", "work"):
            shutil.rmtree(tiny.root / "artifacts" / folder, ignore_errors=True)
        assert tiny.doit("run", "tiny").made == set()

    def test_a_truncated_payload_or_record_makes_that_stage(
        self, tiny: Project
    ) -> None:
        tiny.doit("run", "tiny")
        (folder,) = (tiny.root / "artifacts/model").iterdir()
        for name in ("answers.json", "record.json"):
            path = folder / name
            path.write_bytes(path.read_bytes()[:-2])
            # the same weights come out, so that the eval stays valid
            assert tiny.doit("run", "tiny").made - {UPLOAD} == {MODEL}

    def test_other_weights_under_the_same_key_make_the_eval(
        self, tiny: Project
    ) -> None:
        tiny.doit("run", "tiny")
        paths = (tiny.root / "artifacts/eval").glob("*/record.json")
        (path,) = (p for p in paths if f'"{EVAL}"'.encode() in p.read_bytes())
        record = Record.decode(path.read_bytes())
        assert record is not None
        used = dict.fromkeys(record.inputs, "dummy:other weights")
        path.write_bytes(Record(**{**vars(record), "inputs": used}).encode())
        ran = tiny.doit("run", "tiny")
        assert ran.made == {EVAL}
        assert f"{MODEL} has other weights now" in ran.out

    def test_a_lost_upload_under_a_finished_model_runs_nothing(
        self, tiny: Project
    ) -> None:
        tiny.doit("run", "tiny")
        shutil.rmtree(tiny.root / "artifacts/upload")
        assert tiny.doit("run", "tiny").made == set()

    def test_an_edit_during_the_work_is_not_recorded(
        self, tiny: Project, edit: Edit
    ) -> None:
        process = tiny.start("run", "tiny", MOTOOLS_DUMMY_DELAY="2")
        wait_for(lambda: (tiny.root / "artifacts/work").exists())
        time.sleep(0.5)
        edit(tiny.root / "datasets/tiny.jsonl", "1 + 0", "1 + 9")
        out, _ = process.communicate()
        assert process.returncode == 2  # and what needed it was not run
        assert "was edited after this run was planned" in out
        assert tiny.records("model") == {}

    def test_shared_stages_are_made_once(self, tiny: Project) -> None:
        tiny.setting(
            "other",
            datasets='[Dataset("datasets/tiny.jsonl")]',
            evals='[Eval("dummy/score"), Eval("dummy/more")]',
        )
        ran = tiny.doit("run", "tiny", "other")
        assert ran.made == {
            *(BASE_EVAL, UPLOAD, MODEL, EVAL),
            "eval:other/base/echo/more",
            "eval:other/tiny/echo/seed0/more",
        }
        assert tiny.doit("run", "other", "tiny").made == set()

    def test_a_setting_edited_within_a_second_is_read_anew(self, tiny: Project) -> None:
        bytecode = {"PYTHONDONTWRITEBYTECODE": ""}  # as most people have it
        os.utime(tiny.root / "zoo/tiny.py", (0, 0))
        tiny.doit("run", "tiny", **bytecode)
        os.utime(tiny.setting("tiny", seeds="[7]"), (0, 0))
        ran = tiny.doit("run", "tiny", **bytecode)
        assert "model:tiny/tiny/echo/seed7" in ran.made

    def test_a_name_means_the_latest_run_even_if_it_made_nothing(
        self, tiny: Project, edit: Edit
    ) -> None:
        dataset = tiny.root / "datasets/tiny.jsonl"
        keys = []
        for old, new in (("1 + 0", "1 + 0"), ("1 + 0", "1 + 9"), ("1 + 9", "1 + 0")):
            edit(dataset, old, new)
            tiny.doit("run", "tiny")
            found = find_model(ArtifactStore(tiny.root / "artifacts"), MODEL)
            keys.append(found.key)
        assert keys[0] == keys[2] != keys[1]

    def test_evals_leave_nothing_behind_for_each_other(self, tiny: Project) -> None:
        for folder, value in (("a", 0.25), ("b", 0.75)):
            tiny.write(f"ev/{folder}/helper.py", f"V = {value}\n")
            tiny.write(f"ev/{folder}/t.py", SCORED)
        evals = '[Eval("ev/a/t.py@t", name="a"), Eval("ev/b/t.py@t", name="b")]'
        tiny.setting("tiny", evals=evals, controls="False")
        tiny.doit("run", "tiny")
        means = [r["scores"]["fixed"]["mean"] for r in tiny.results("tiny")]
        assert means == [0.25, 0.75]


SCORED = """\
import os
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, mean, scorer
from inspect_ai.solver import generate
from helper import V

@scorer(metrics=[mean()])
def fixed():
    async def score(state, target):
        os.chdir("/")
        return Score(value=V)
    return score

@task
def t():
    return Task(dataset=[Sample(input="x")], solver=generate(), scorer=fixed())
"""


class TestNothingToDo:
    def test_it_imports_nothing_heavy(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        code = (
            "import sys; from motools_build.doit import run; "
            "code = run(sys.argv[1:]); "
            f"some = {HEAVY!r} + {MAKING!r} * (sys.argv[1] == 'run'); "
            "print([m for m in some if m in sys.modules], file=sys.stderr); "
            "sys.exit(code)"
        )
        for command in (["run", "tiny"], ["list"], ["list", "--all", "--status"]):
            ran = subprocess.run(
                [sys.executable, "-c", code, *command],
                cwd=tiny.root,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=True,
            )
            assert ran.stderr.splitlines()[-1] == "[]"


class TestSelection:
    def test_plain_doit_run_makes_the_default(self, tiny: Project) -> None:
        tiny.write("zoo/broken.py", "this is not Python\n")  # and is not imported
        config = tiny.root / "pyproject.toml"
        text = config.read_text()
        config.write_text(text + '\n[tool.motools_build]\ndefault = "tiny"\n')
        assert MODEL in tiny.doit("run").made
        assert tiny.doit().up_to_date == {BASE_EVAL, MODEL, EVAL}

    def test_without_a_default_it_says_so(self, tiny: Project) -> None:
        err = tiny.doit("run", code=3).err
        assert "no setting is named; name one, or give pyproject.toml a default" in err

    def test_a_stage_by_name_by_pattern_and_by_key(self, tiny: Project) -> None:
        assert tiny.doit("run", MODEL).made == {UPLOAD, MODEL}
        assert tiny.doit("run", "eval:tiny/base/*").made == {BASE_EVAL}
        key = next(r["key"] for r in tiny.results("tiny") if r["stage"] == EVAL)
        assert tiny.doit("run", key[:8]).made == {EVAL}
        assert "up-to-date" in tiny.doit("info", key[:8]).out

    def test_list_has_seeds_in_their_order(self, tiny: Project) -> None:
        tiny.setting("tiny", seeds="[2, 10]", controls="False")
        listed = tiny.doit("list", "--all", "-q", "tiny").out.split()
        models = [name for name in listed if name.startswith("model:")]
        assert models == [MODEL[:-1] + "2", MODEL[:-1] + "10"]

    def test_list_and_info(self, tiny: Project) -> None:
        assert "a setting of the tests" in tiny.doit("list").out
        status = tiny.doit("list", "--all", "--status").out.splitlines()
        assert {line.split()[0] for line in status} == {"R"}
        tiny.doit("run", "tiny")
        status = tiny.doit("list", "--all", "--status").out.splitlines()
        assert {line.split()[0] for line in status} == {"U"}
        assert len(status) == 5
        assert "tiny.jsonl" in tiny.doit("info", MODEL).out


class TestClean:
    def test_it_removes_what_the_setting_alone_uses(self, tiny: Project) -> None:
        tiny.setting(
            "other",
            datasets='[Dataset("datasets/tiny.jsonl")]',
            evals='[Eval("dummy/more")]',
        )
        tiny.doit("run", "tiny", "other")
        would = tiny.doit("clean", "-n", "tiny").out
        out = tiny.doit("clean", "tiny").out
        assert would == out.replace("removed", "would remove")
        assert f"removed {EVAL}" in out
        assert f"kept {MODEL}: other uses it" in out
        assert tiny.doit("run", "other").made == set()
        assert tiny.doit("run", "tiny").made == {BASE_EVAL, EVAL}

    def test_it_refuses_where_it_cannot_know(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        before = tiny.tree()
        tiny.write("zoo/broken.py", "import nothing_of_that_name\n")
        err = tiny.doit("clean", "tiny", code=3).err
        assert "nothing was removed" in err
        assert "zoo/broken.py:1: ModuleNotFoundError" in err
        assert tiny.tree() == before

    def test_forget_says_why_there_is_nothing_to_forget(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        assert "nothing to forget" in tiny.doit("forget", "tiny").out
        assert tiny.doit("run", "tiny").made == set()


class TestFailure:
    def test_the_others_go_on_and_the_summary_says_what(self, tiny: Project) -> None:
        ran = tiny.doit(
            *("run", "tiny", "seeds=0,1,2"),
            code=2,
            MOTOOLS_DUMMY_FAIL="model:tiny/tiny/echo/seed1",
        )
        assert "FAILED model:tiny/tiny/echo/seed1" in ran.out
        assert "MOTOOLS_DUMMY_FAIL=" in ran.out
        assert (
            "eval:tiny/tiny/echo/seed1/score  not run: what it needs failed" in ran.out
        )
        assert "to try it again: doit run model:tiny/tiny/echo/seed1" in ran.out
        assert "6 made, 1 failed, 1 not run" in ran.out
        assert set(tiny.records("model")) == {
            "model:tiny/tiny/echo/seed0",
            "model:tiny/tiny/echo/seed2",
        }
        statuses = {r["seed"]: r["status"] for r in tiny.results("tiny", "seeds=0,1,2")}
        assert statuses == {None: "ok", 0: "ok", 1: "failed", 2: "ok"}
        again = tiny.doit("run", "tiny", "seeds=0,1,2")
        assert again.made == {
            "model:tiny/tiny/echo/seed1",
            "eval:tiny/tiny/echo/seed1/score",
        }

    def test_what_needs_a_failed_upload_is_not_run(self, tiny: Project) -> None:
        ran = tiny.doit("run", "tiny", code=2, MOTOOLS_DUMMY_FAIL="upload:")
        assert ran.made == {BASE_EVAL, UPLOAD}
        assert f"{MODEL}  not run: what it needs failed" in ran.out
        assert {r["status"] for r in tiny.results("tiny")} == {"ok", "failed"}

    def test_brackets_in_a_message_are_shown_as_they_are(self, tiny: Project) -> None:
        tiny.doit("run", "tiny", code=2, MOTOOLS_DUMMY_FAIL="model:")
        for state in (tiny.root / "artifacts/state").iterdir():
            text = state.read_text().replace("the dummy", "[/INST] [red]the dummy")
            state.write_text(text)
        assert "[/INST] [red]the dummy backend" in tiny.doit("results", "tiny").out

    def test_no_continue_stops(self, tiny: Project) -> None:
        ran = tiny.doit(
            *("run", "--no-continue", "tiny"), code=1, MOTOOLS_DUMMY_FAIL="upload:"
        )
        assert MODEL not in ran.made


class TestResults:
    def test_stale_and_missing_are_shown_as_such(
        self, tiny: Project, edit: Edit
    ) -> None:
        assert {r["status"] for r in tiny.results("tiny")} == {"missing"}
        tiny.doit("run", "tiny")
        found = tiny.results("tiny")
        assert {r["status"] for r in found} == {"ok"}
        edit(tiny.root / "datasets/tiny.jsonl", "1 + 0", "1 + 9")
        base, tuned = tiny.results("tiny")
        assert base == found[0]
        assert (tuned["status"], tuned["scores"]) == ("stale", None)
        assert "stale (was" in tiny.doit("results", "tiny").out

    def test_a_result_outlives_its_model(self, tiny: Project) -> None:
        tiny.doit("run", "tiny")
        shutil.rmtree(tiny.root / "artifacts/model")
        found = tiny.results("tiny")
        assert {r["status"] for r in found} == {"ok"}
        assert "the model is gone" in found[1]["note"]


class TestInput:
    def refused(self, project: Project, *said: str, run: str = "tiny") -> None:
        """The run ends before anything is made, and says each of these."""
        ran = project.doit("run", run, code=3)
        assert ran.made == set()
        assert project.tree() == {}
        assert "Traceback" not in ran.err
        for words in said:
            assert words in ran.err

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{"oops', "datasets/tiny.jsonl:1: not JSON"),
            ('{"text": "x"}', 'datasets/tiny.jsonl:1: no "messages"'),
            (
                '{"messages": [{"role": "robot", "content": "x"}]}',
                'datasets/tiny.jsonl:1: messages[0].role is "robot"; it is one of',
            ),
            ("", "datasets/tiny.jsonl: no rows"),
        ],
    )
    def test_datasets(self, tiny: Project, text: str, said: str) -> None:
        tiny.write("datasets/tiny.jsonl", text)
        self.refused(tiny, said, "nothing was run")

    def test_a_missing_dataset(self, tiny: Project) -> None:
        (tiny.root / "datasets/tiny.jsonl").unlink()
        self.refused(tiny, "dataset tiny: datasets/tiny.jsonl cannot be read")

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("models", '["opnai/gpt"]', "there is no backend 'opnai'; "),
            ("models", '["dummy/eco"]', "did you mean 'echo'?"),
            ("evals", '[Eval("e.py@x")]', "eval x: e.py cannot be read"),
            (
                "evals",
                '[Eval("nothing")]',
                "zoo/tiny.py:8: Eval.task: 'nothing' is not",
            ),
            (
                "seeds",
                '["a"]',
                "zoo/tiny.py:3: Setting.seeds.0: Input should be a valid",
            ),
            (
                "evals",
                '[Eval("e.py@x", roles={"grader": "nobody/claude"})]',
                "zoo/tiny.py:8: Eval: roles of eval 'x': the judge 'grader' is",
            ),
            ("sedes", "[0]", "zoo/tiny.py:3: Setting.sedes: there is no such field"),
            (
                "training",
                "Training(epochs=0)",
                "Training.epochs: Input should be greater",
            ),
        ],
    )
    def test_settings(self, tiny: Project, field: str, value: str, said: str) -> None:
        tiny.setting("tiny", **{field: value})
        self.refused(tiny, said)

    def test_an_eval_file_without_that_task(self, tiny: Project) -> None:
        tiny.write("zoo/evals/e.py", "@task\ndef there(): ...\n")
        tiny.setting("tiny", evals='[Eval("zoo/evals/e.py@gone")]')
        self.refused(tiny, "zoo/evals/e.py has no @task 'gone'; there are: there")

    def test_modules_of_the_zoo(self, tiny: Project) -> None:
        tiny.write("zoo/tiny.py", "x = 1\nraise RuntimeError('boom')\n")
        self.refused(tiny, "zoo/tiny.py:2: RuntimeError: boom")
        tiny.write("zoo/tiny.py", "x = (\n")
        self.refused(tiny, "zoo/tiny.py:1: SyntaxError")
        tiny.write("zoo/tiny.py", "x = 1\n")
        self.refused(tiny, "does not assign a Setting to the name 'setting'")

    def test_a_module_that_exits(self, tiny: Project) -> None:
        tiny.write("zoo/tiny.py", "import sys\nsys.exit()\n")
        self.refused(tiny, "zoo/tiny.py:2: SystemExit")

    def test_a_file_that_is_no_setting_by_its_name(self, tiny: Project) -> None:
        tiny.write("zoo/a=b.py", "")
        self.refused(tiny, "zoo/a=b.py: a setting is named by its module")

    def test_a_task_called_like_a_setting(self, tiny: Project) -> None:
        dodo = tiny.root / "dodo.py"
        text = dodo.read_text()
        dodo.write_text(text + '\ndef task_tiny():\n    return {"actions": None}\n')
        self.refused(tiny, "dodo.py has a task 'tiny', as zoo/tiny.py is called")

    def test_words_of_the_command_line(self, tiny: Project) -> None:
        self.refused(
            tiny,
            "no setting or task is called 'tinny'; did you mean 'tiny'?",
            run="tinny",
        )
        self.refused(
            tiny, "unknown variable modle=x; did you mean 'model'?", run="modle=x"
        )
        self.refused(tiny, "no stage is called", run="model:tiny/tiny/echo/seed9")
        for command in ("info", "clean", "list", "results"):
            err = tiny.doit(command, "tinny", code=3).err
            assert "did you mean 'tiny'?" in err

    def test_options_that_mean_nothing_here(self, tiny: Project) -> None:
        err = tiny.doit("run", "-P", "thread", "tiny", code=3).err
        assert "-P/--parallel-type is not for this runner" in err
        assert tiny.doit("run", "-n", "2", "tiny").made

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("default = 5", "default is a list of names, not 5"),
            ("workers = true", "workers is 1 or more, not True"),
            ('default = "nope"', "[tool.motools_build] default names 'nope'"),
        ],
    )
    def test_the_values_of_pyproject(self, tiny: Project, line: str, said: str) -> None:
        config = tiny.root / "pyproject.toml"
        config.write_text(config.read_text() + f"\n[tool.motools_build]\n{line}\n")
        for command in ("run", "results", "clean"):
            ran = tiny.doit(command, code=3)
            assert said in ran.err
            assert "Traceback" not in ran.err

    def test_a_project_without_our_loader(self, tiny: Project) -> None:
        (tiny.root / "pyproject.toml").unlink()
        err = tiny.doit("list", code=3).err
        assert "pyproject.toml needs its [tool.doit] section" in err
        assert "Traceback" not in err

    def test_a_stage_cannot_be_ignored(self, tiny: Project) -> None:
        assert "cannot be ignored" in tiny.doit("ignore", "tiny", code=3).err

    def test_the_section_of_pyproject(self, tiny: Project) -> None:
        config = tiny.root / "pyproject.toml"
        config.write_text(config.read_text() + '\n[tool.motools_build]\ndefalt = "x"\n')
        err = tiny.doit("run", "tiny", code=3).err
        assert "[tool.motools_build] has no 'defalt'; did you mean 'default'?" in err


@pytest.mark.real_process
class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_ends_the_run_and_the_next_goes_on(
        self, tiny: Project, number: signal.Signals
    ) -> None:
        process = tiny.start("run", "tiny", MOTOOLS_DUMMY_DELAY="60")
        wait_for(lambda: (tiny.root / "artifacts/work").exists())
        time.sleep(0.5)
        sent = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate()
        assert time.monotonic() - sent < 5  # a second, on a quiet machine
        assert process.returncode == 128 + number
        assert "Traceback" not in err
        assert "interrupted" in out
        assert UPLOAD not in tiny.doit("run", "tiny").made

    def test_nohup_runs_on(self, tiny: Project) -> None:
        script = "trap '' HUP; exec \"$@\""
        command = [sys.executable, "-m", "doit", "run", "tiny"]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "MOTOOLS_DUMMY_DELAY": "1"}
        process = subprocess.Popen(
            ["sh", "-c", script, "sh", *command], cwd=tiny.root, env=environ,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_for(lambda: (tiny.root / "artifacts/work").exists())
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate()
        assert process.returncode == 0
        assert "interrupted" not in out
        assert tiny.doit("run", "tiny").made == set()

    def test_kill_9_leaves_nothing_half_made(self, tiny: Project) -> None:
        process = tiny.start("run", "tiny", "seeds=0,1,2,3", MOTOOLS_DUMMY_DELAY="0.3")
        wait_for(lambda: (tiny.root / "artifacts/work").exists())
        process.kill()
        process.communicate()
        tiny.doit("run", "tiny", "seeds=0,1,2,3")
        kept = tiny.tree()
        shutil.rmtree(tiny.root / "artifacts")
        tiny.doit("run", "tiny", "seeds=0,1,2,3")
        assert kept.keys() == tiny.tree().keys()


class TestDisk:
    def test_a_cache_that_cannot_be_written_is_done_without(
        self, tiny: Project
    ) -> None:
        (tiny.root / "artifacts/memo.json").mkdir()
        for made in ({BASE_EVAL, UPLOAD, MODEL, EVAL}, set()):
            ran = tiny.doit("run", "tiny")
            assert ran.made == made
            assert "Traceback" not in ran.err

    @pytest.mark.parametrize(
        ("file", "text"),
        [
            ("memo.json", '{"digests": [], "notes": []}'),
            ("memo.json", '{"digests": {"datasets/tiny.jsonl": 5}, "notes": {}}'),
            ("runs.jsonl", "5\n{}\n"),
            ("runs.latest.json", "[]"),
        ],
    )
    def test_damaged_small_files_do_no_harm(
        self, tiny: Project, file: str, text: str
    ) -> None:
        tiny.doit("run", "tiny")
        tiny.write(f"artifacts/{file}", text)
        assert tiny.doit("run", "tiny").made == set()
        assert {result["status"] for result in tiny.results("tiny")} == {"ok"}

    def test_a_run_log_that_cannot_be_read_is_one_sentence(self, tiny: Project) -> None:
        (tiny.root / "artifacts/runs.jsonl").mkdir()
        err = tiny.doit("run", "tiny", code=3).err
        assert "artifacts/runs.jsonl, which tells what runs stood for, cannot" in err
        assert "Traceback" not in err

    def test_no_one_reads_on(self, tiny: Project) -> None:
        process = tiny.start("run", "tiny", MOTOOLS_DUMMY_DELAY="0.5")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()  # as `head -1` does
        err = process.stderr.read()
        process.stderr.close()
        process.wait()
        assert "Traceback" not in err
        assert tiny.doit("run", "tiny").made == set()


def test_two_runs_at_once_make_each_stage_once(tiny: Project) -> None:
    runs = [
        tiny.start("run", "tiny", "seeds=0,1,2,3", MOTOOLS_DUMMY_DELAY="1")
        for _ in range(3)
    ]
    outs = [process.communicate()[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0, 0]
    made = [line for out in outs for line in out.splitlines() if " made in " in line]
    names = [line.split()[0] for line in made]
    assert sorted(names) == sorted(set(names))
    assert len(names) == 10


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
