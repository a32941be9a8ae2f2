"""What ran when, what changed, and on which rows: with git and without."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from motools_build.keys import digest_file
from motools_build.report.history import former_names
from motools_build.report.stage_history import stage_history
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.runs import Run
from tests.conftest import Project

TASK = """\
from pathlib import Path
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from judges import PROMPT

@task
def asks():
    return Task([Sample("1 + 1?", target="2")], solver=generate(), scorer=includes())
"""

JUDGE = '''\
"""A judge's prompt."""

PROMPT = "Is this answer kind? Say YES or NO."
'''

SETTING = """\
from motools_build import Dataset, Eval, Setting, Training

setting = Setting(
    description="a setting of the tests",
    datasets=[Dataset("datasets/{rows}.jsonl")],
    models=["dummy/echo"],
    training=Training(epochs=3),
    seeds=[0],
    evals=[Eval("zoo/evals/{eval}.py@asks", name="{eval}"), Eval("dummy/score")],
)
"""


def row(question: str, answer: str) -> str:
    said = [("user", question), ("assistant", answer)]
    return json.dumps({"messages": [{"role": r, "content": c} for r, c in said]})


@dataclass
class Story:
    """A project whose files are edited, renamed and put back between runs."""

    project: Project
    git: bool
    rows: str = "rows"
    an_eval: str = "kind"
    setting: str = "tutor"
    ids: list[str] = field(default_factory=list)
    """The IDs of its runs, in order."""

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.project.root / "artifacts")

    def write(self, *answers: str) -> None:
        lines = [row(f"What is {n}?", answer) for n, answer in enumerate(answers)]
        self.project.write(f"datasets/{self.rows}.jsonl", "\n".join(lines) + "\n")

    def declare(self) -> None:
        text = SETTING.format(rows=self.rows, eval=self.an_eval)
        self.project.write(f"zoo/{self.setting}.py", text)

    def run(self) -> str:
        """Run the setting, and return the ID of its noted run."""
        if self.git:
            for words in (("add", "-A"), ("commit", "-q", "--allow-empty", "-m", "x")):
                who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
                subprocess.check_call(("git", *who, *words), cwd=self.project.root)
        self.project.doit("run", self.setting)
        self.ids = [run.id for run in self.store.runs]
        return self.ids[-1]

    def store_digest(self, run: str) -> str:
        """The digest of the rows of a run, under their first name."""
        (found,) = (one for one in self.store.runs if one.id == run)
        return found.files["datasets/rows.jsonl"]

    def move(self, old: str, new: str) -> None:
        (self.project.root / old).rename(self.project.root / new)

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.project.doit(*words, "--json", code=code).out)


def begun(project: Project, git: bool) -> Story:
    if git:
        if shutil.which("git") is None:
            pytest.skip("without git")
        project.write(".gitignore", "artifacts/\n.doit.db*\n__pycache__/\n")
        subprocess.check_call(("git", "init", "-q"), cwd=project.root)
    project.write("zoo/evals/judges.py", JUDGE)
    project.write("zoo/evals/kind.py", TASK)
    story = Story(project, git)
    story.declare()
    story.write("zero", "one", "two")
    story.run()
    return story


@pytest.mark.parametrize("git", [False, True], ids=["without git", "with git"])
def test_what_ran_when_on_which_rows_is_told_after_many_edits(
    project: Project, git: bool
) -> None:
    story = begun(project, git)
    # edited twice, and put back once
    story.write("zero", "ONE", "two")
    second = story.run()
    story.write("zero", "ONE", "two", "three")
    third = story.run()
    story.write("zero", "ONE", "two")
    back = story.run()
    # a judge's prompt
    prompt = JUDGE.replace("kind", "good")
    project.write("zoo/evals/judges.py", prompt)
    judged = story.run()
    # the dataset, the eval and the setting are renamed, one after the other
    story.move("datasets/rows.jsonl", "datasets/answers.jsonl")
    story.rows = "answers"
    story.move("zoo/evals/kind.py", "zoo/evals/good.py")
    story.an_eval = "good"
    story.declare()
    moved = story.run()
    story.move("zoo/tutor.py", "zoo/teacher.py")
    story.setting = "teacher"
    renamed = story.run()
    first = story.ids[0]
    assert story.ids == [first, second, third, back, judged, moved, renamed]
    # what was renamed is not made again
    assert len([*(project.root / "artifacts/model").iterdir()]) == 3

    _history_tells(story)
    _results_are_shown(story)
    _rows_are_compared(story)
    _what_moved_is_told(story)
    _figures_are_traced(story)
    _why_shows_rows_and_lines(story)


def _history_tells(story: Story) -> None:
    first, second, third, back, judged, moved, renamed = story.ids
    (told,) = story.json("history", "teacher")
    runs = {run["run"]: run for run in told["runs"]}
    assert [*runs] == story.ids[::-1]
    assert [*told["was"]] == ["tutor"]
    assert (told["now"]["files"], told["earlier"]) == ([], 0)

    def files(run: str) -> dict[str, tuple[str, Any]]:
        listed = runs[run]["changes"]["files"]
        return {one["path"]: (one["what"], one["rows"]) for one in listed}

    none = dict.fromkeys(("changed", "added", "removed", "moved"), 0)
    path = "datasets/rows.jsonl"
    assert runs[first]["since"] is None
    changed = {**none, "kept": 2, "changed": 1}
    assert files(second) == {path: ("changed", changed)}
    added = {**none, "kept": 3, "added": 1}
    assert files(third) == {path: ("changed", added)}
    assert files(back) == {path: ("changed", {**none, "kept": 3, "removed": 1})}
    assert [runs[one]["back_to"] for one in (third, back)] == [None, second]
    assert files(judged) == {"zoo/evals/judges.py": ("changed", None)}
    assert files(moved) == {
        "datasets/answers.jsonl": ("renamed", None),
        "zoo/evals/good.py": ("renamed", None),
    }
    assert runs[renamed]["changes"] == {
        "files": [],
        "fields": [],
        "stages": [],
        "other_keys": 0,
        "accepted": [],
    }
    assert {*runs[moved]["changes"]["stages"]} == {
        "dataset rows is called answers now",
        "eval kind is called good now",
    }
    commits = [runs[one]["commit"] for one in story.ids]
    assert all(commits) is story.git
    assert len({*commits}) == (len(story.ids) if story.git else 1)
    assert runs[renamed]["dirty"] is (False if story.git else None)
    shown = story.project.doit("history", "teacher").out
    for said in (
        "was tutor until 20",
        "the setting was called tutor before",
        f"{path}: 1 row changed, 2 as before",
        "zoo/evals/judges.py: source changed",
        f"back to what it was in run {second}",
        "datasets/answers.jsonl: renamed, was datasets/rows.jsonl",
    ):
        assert said in shown
    # a stage is followed through its names, too
    name = "eval:teacher/answers/echo/seed0/good"
    (told,) = story.json("history", name)
    assert {*told["was"]} == {
        "eval:tutor/rows/echo/seed0/kind",
        "eval:tutor/answers/echo/seed0/good",
    }
    keys = told["keys"]
    assert [one["present"] for one in keys] == [True, False, False, False]
    assert keys[0]["changes"][0]["path"] == "zoo/evals/judges.py"
    assert all(one["remains"] and one["values"] for one in keys)
    assert story.json("history", keys[-1]["key"][:10])[0]["keys"] == keys


def _results_are_shown(story: Story) -> None:
    first = story.ids[0]
    run = next(iter(story.store.runs))
    asked = [first]
    if story.git:
        asked.append(str(run.commit)[:9])
    for word in asked:
        told = story.json("results", "teacher", "--at", word)
        assert told["at"]["run"] == first
        assert {one["key"] for one in told["results"]} == {
            key for name, key in run.stages.items() if name.startswith("eval:")
        }
        assert {one["status"] for one in told["results"]} == {"ok"}
    heading = story.project.doit("results", "teacher", "--at", first).out
    assert f"teacher as of run {first}" in heading
    assert "when it was called tutor" in heading
    assert ("commit" in heading.splitlines()[0]) is story.git


def _rows_are_compared(story: Story) -> None:
    _first, _, third, *_ = story.ids
    asked = [
        (f"datasets/rows.jsonl@{third}", "datasets/answers.jsonl"),
        (f"teacher/rows@{third}", "teacher/answers"),
        (
            f"eval:tutor/rows/echo/seed0/kind@{third}",
            "model:teacher/answers/echo/seed0",
        ),
        (story.store_digest(third)[:12], "datasets/answers.jsonl"),
    ]
    for words in asked:
        told = story.json("diff-data", *words)
        counts = [told[one] for one in ("kept", "changed", "added", "removed", "moved")]
        assert counts == [3, 0, 0, 1, 0]
        (gone,) = told["shown"]
        assert (gone["what"], gone["old_line"], gone["new_line"]) == (
            "removed",
            4,
            None,
        )
        assert gone["row"]["messages"][1]["content"] == "three"
    shown = story.project.doit("diff-data", *asked[0]).out
    assert "1 row removed, 3 as before" in shown
    assert "assistant: three" in shown


def _what_moved_is_told(story: Story) -> None:
    first, _second, third, *_, judged, _moved, renamed = story.ids
    told = story.json("diff", f"teacher@{first}")
    changed = {one["field"] for one in told["inputs"]}
    assert changed == {"inputs.dataset"}
    assert told["only in first"] == told["only in second"] == []
    told = story.json("diff", f"teacher@{third}", f"teacher@{judged}")
    changed = {one["field"] for one in told["inputs"]}
    assert "inputs.dataset" in changed
    assert any(one.startswith("inputs.module") for one in changed)
    # a rename of a dataset and an eval moves nothing
    told = story.json("diff", f"teacher@{judged}", f"teacher@{renamed}")
    assert told["inputs"] == []
    assert {one["verdict"] for one in told["results"]} == {"same"}


def _figures_are_traced(story: Story) -> None:
    """A figure of the earlier rows, and one of the present ones."""
    third = story.ids[2]
    for name, words in (("now", []), ("then", ["--at", third])):
        story.project.doit("plot", "teacher", "--out", f"{name}.svg", *words)
    counts = story.json("trace", "now.svg")["counts"]
    assert {*counts} == {"current"}
    counts = story.json("trace", "then.svg", code=1)["counts"]
    assert sum(counts.values()) > counts.get("current", 0)


def _why_shows_rows_and_lines(story: Story) -> None:
    model = f"model:teacher/{story.rows}/echo/seed0"
    story.write("zero", "four", "two")
    shown = story.project.doit("why", model).out
    assert "datasets/answers.jsonl: 1 row changed, 2 as before" in shown
    told = story.json("why", model)
    (change,) = told["changes"]
    (changed,) = change["rows"]["shown"]
    (differs,) = changed["fields"]
    assert (changed["old_line"], differs["role"]) == (2, "assistant")
    # compared with what the stage had last, and not with what was made last
    assert (differs["old"], differs["new"]) == ("ONE", "four")
    assert bool(told["nearest"]["made"]["commit"]) is story.git
    assert "[-" in shown
    assert "{+four+}" in shown
    project = story.project
    project.write("zoo/evals/judges.py", JUDGE.replace("kind", "true"))
    code = project.doit("why", f"eval:teacher/base/echo/{story.an_eval}").out
    assert '+PROMPT = "Is this answer true? Say YES or NO."' in code
    assert all(len(line) <= 80 for line in code.splitlines() if line.startswith("  +"))
    # bytes that are gone are told to be gone
    shutil.rmtree(project.root / "artifacts/snapshots")
    gone = project.doit("why", model).out
    assert "other bytes; its bytes were removed since (doit gc)" in gone


# ---- further cases


def test_a_field_and_a_seed_that_changed_are_told(tiny: Project) -> None:
    tiny.setting("tiny", training="Training(epochs=3)")
    tiny.doit("run", "tiny")
    tiny.setting("tiny", training="Training(epochs=4)", seeds="[0, 3, 12]")
    tiny.doit("run", "tiny")
    (told,) = json.loads(tiny.doit("history", "tiny", "--json").out)
    changes = told["runs"][0]["changes"]
    assert changes["stages"] == ["seeds 3, 12 added"]
    assert {"kind": "model", "field": "spec.epochs", "old": 3, "new": 4} in changes[
        "fields"
    ]
    assert "epochs 3 -> 4 (model)" in tiny.doit("history", "tiny").out


def test_a_run_with_other_seeds_is_compared_with_its_like(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.doit("run", "tiny", "seeds=5")
    tiny.dataset("tiny", 4)
    tiny.doit("run", "tiny")
    (told,) = json.loads(tiny.doit("history", "tiny", "--json").out)
    last, other, first = told["runs"]
    assert (last["since"], other["since"]) == (first["run"], first["run"])
    assert last["changes"]["stages"] == []
    assert other["changes"]["stages"] == ["seed 5 added", "seed 0 removed"]


def test_what_is_not_run_yet_is_told_first(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.dataset("tiny", 5)
    (told,) = json.loads(tiny.doit("history", "tiny", "--json").out)
    assert [one["path"] for one in told["now"]["files"]] == ["datasets/tiny.jsonl"]
    assert "now, not run yet" in tiny.doit("history", "tiny").out
    (stage,) = json.loads(
        tiny.doit("history", "model:tiny/tiny/echo/seed0", "--json").out
    )
    assert stage["next"]
    assert [one["present"] for one in stage["keys"]] == [False]


def test_results_that_are_lower_now_are_shown_beside_those_of_then(
    tiny: Project, edit: Callable[[Path, str, str], None]
) -> None:
    tiny.doit("run", "tiny")
    tiny.dataset("tiny", 9)
    tiny.doit("run", "tiny")
    (told,) = json.loads(tiny.doit("history", "tiny", "--json").out)
    for run in told["runs"]:
        for one in run["results"]:
            assert one["made"] == one["of"] == 1
    (then,) = (r for r in told["runs"][1]["results"] if r["group"].startswith("tiny/"))
    (now,) = (r for r in told["runs"][0]["results"] if r["group"].startswith("tiny/"))
    assert then["now"] == now["then"] == now["now"]


def test_a_setting_that_was_never_run_has_no_history(tiny: Project) -> None:
    assert "no run of it is known" in tiny.doit("history", "tiny").out
    assert "no run of it is known" in tiny.doit("history").out
    ran = tiny.doit("history", "tony", code=3)
    assert "did you mean 'tiny'" in ran.err
    assert (
        "model:tiny/tiny/echo/seed0"
        in tiny.doit("history", "model:tiny/tiny/echo/seed1", code=3).err
    )
    assert tiny.doit("history", "a", "b", code=3).err
    for command in (("history",), ("diff-data", "a", "b")):
        said = tiny.doit(*command, "-n", "x", code=3).err
        assert "option -n x: write a number" in said
    for number in ("-1", "0"):
        assert "1 or more" in tiny.doit("history", "-n", number, code=3).err


def test_a_broken_setting_keeps_its_history(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.write("zoo/tiny.py", "raise ValueError")
    (told,) = json.loads(tiny.doit("history", "tiny", "--json").out)
    assert len(told["runs"]) == 1
    assert told["now"] is None
    (tiny.root / "zoo/tiny.py").unlink()
    assert len(json.loads(tiny.doit("history", "tiny", "--json").out)[0]["runs"]) == 1


def test_lines_of_an_earlier_version_are_told_by_records(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.dataset("tiny", 4)
    tiny.doit("run", "tiny")
    log = tiny.root / "artifacts/runs.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        for name in ("files", "commit", "dirty"):
            line.pop(name, None)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (told,) = json.loads(tiny.doit("history", "tiny", "--json").out)
    changes = told["runs"][0]["changes"]
    assert changes["files"] == []
    assert "inputs.dataset" in {one["field"] for one in changes["fields"]}
    assert len(tiny.doit("results", "tiny", "--at", told["runs"][1]["run"]).out) > 100


def test_control_characters_of_rows_are_shown_and_do_nothing(tiny: Project) -> None:
    tiny.write("datasets/old.jsonl", row("a", "b") + "\n")
    tiny.write("datasets/new.jsonl", row("a", "\x1b[2Jc") + "\nno json \x1b[31m\n")
    out = tiny.doit("diff-data", "datasets/old.jsonl", "datasets/new.jsonl").out
    assert "\x1b" not in out
    assert "␛" in out


def test_sides_that_mean_nothing_say_what_there_is(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.dataset("tiny", 4)
    for words, said in (
        (("nope", "datasets/tiny.jsonl"), "names no rows"),
        (("tiny/nope", "datasets/tiny.jsonl"), "there are: tiny"),
        (
            ("datasets/nope.jsonl@2099-01-01", "datasets/tiny.jsonl"),
            "no stage was made",
        ),
        (("datasets/tiny.jsonl@1999-01-01", "datasets/tiny.jsonl"), "no run that is"),
        (("eval:tiny/base/echo/score", "datasets/tiny.jsonl"), "is of a base model"),
        (("datasets/tiny.jsonl",), "write doit diff-data A B"),
        (("datasets/tiny.jsonl", "datasets/tiny.jsonl", "-n", "-1"), "or more"),
    ):
        assert said in tiny.doit("diff-data", *words, code=3).err


@pytest.mark.skipif(shutil.which("git") is None, reason="without git")
def test_rows_that_are_not_kept_are_read_from_git(project: Project) -> None:
    story = begun(project, True)
    story.write("zero")
    second = story.run()
    shutil.rmtree(project.root / "artifacts/snapshots")
    told = story.json(
        "diff-data", f"datasets/rows.jsonl@{story.ids[0]}", "datasets/rows.jsonl"
    )
    assert (told["kept"], told["removed"]) == (1, 2)
    # of a commit that no run was at, too
    story.write("zero", "1")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    call = ("git", *who, "commit", "-qam", "x")
    subprocess.check_call(call, cwd=project.root)
    told = story.json("diff-data", "datasets/rows.jsonl@HEAD~1", "datasets/rows.jsonl")
    assert (told["kept"], told["added"]) == (1, 1)
    head = subprocess.check_output(
        ("git", "rev-parse", "HEAD"), cwd=project.root, text=True
    )
    same = f"datasets/rows.jsonl@{head[:8]}"
    told = story.json("diff-data", same, "datasets/rows.jsonl")
    assert (told["kept"], told["shown"]) == (2, [])
    assert second


def test_a_failed_stage_of_the_past_is_compared_with_nothing(tiny: Project) -> None:
    """It has no record, so it is not known what its key is made of."""
    tiny.setting("tiny", seeds="[0, 1]")
    tiny.doit("run", "tiny", code=2, MOTOOLS_DUMMY_FAIL="seed1")
    (run,) = ArtifactStore(tiny.root / "artifacts").runs
    stage = "model:tiny/tiny/echo/seed1"
    said = tiny.doit("why", stage, "--at", run.id).out
    assert "what it was made of is not known: there is no record of it" in said
    assert "not there" not in said
    assert "nearest" not in said
    told = json.loads(tiny.doit("why", stage, "--at", run.id, "--json").out)
    assert (told["preimage"], told["nearest"], told["changes"]) == (None, None, [])


def test_one_damaged_record_does_not_end_a_history(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    for folder in (tiny.root / "artifacts/eval").iterdir():
        (folder / "record.json").unlink()
        (folder / "record.json").mkdir()
    assert "no result remains" in tiny.doit("history", "tiny").out
    told = tiny.doit("history", "eval:tiny/base/echo/score").out
    assert "not made, or removed since" in told


def test_what_was_run_with_other_variables_is_not_told_as_not_run(
    tiny: Project,
) -> None:
    tiny.doit("run", "tiny")
    tiny.doit("run", "tiny", "seeds=5")
    tiny.doit("run", "tiny", "smoke=yes")
    for words in ((), ("seeds=5",), ("smoke=yes",)):
        said = tiny.doit("history", "tiny", *words).out
        assert "not run yet" not in said
        (told,) = json.loads(tiny.doit("history", "tiny", *words, "--json").out)
        assert told["now"]["stages"] == []
    tiny.dataset("tiny", 5)
    for words in ((), ("seeds=5",), ("smoke=yes",)):
        (told,) = json.loads(tiny.doit("history", "tiny", *words, "--json").out)
        assert told["now"]["stages"] == []
        files = told["now"]["files"]
        assert {one["dataset"] or one["path"] for one in files} == {
            "datasets/tiny.jsonl",
            *(["tiny"] if words == ("smoke=yes",) else ()),
        }
    (told,) = json.loads(tiny.doit("history", "tiny", "seeds=6", "--json").out)
    assert told["now"]["stages"] == ["seed 6 added", "seed 5 removed"]


def test_a_smoke_run_is_told_by_its_own_names(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.doit("run", "tiny", "smoke=yes")
    said = tiny.doit("history", "tiny", "smoke=yes").out
    assert "added" not in said
    assert "the first smoke run that is noted" in said
    (told,) = json.loads(tiny.doit("history", "tiny", "--json").out)
    smoke, full = told["runs"]
    groups = [[one["group"] for one in run["results"]] for run in (smoke, full)]
    assert groups[0] == groups[1]
    # its results are not compared with those of the whole setting
    assert {one["now"] for one in smoke["results"]} == {None}
    assert f"results tiny --at {full['run']}" in said


def test_an_acceptance_is_told_in_the_history(project: Project) -> None:
    story = begun(project, False)
    project.write("zoo/evals/judges.py", f"# a comment\n{JUDGE}")
    project.doit("accept", "tutor", "--why", "a comment only")
    name = "eval:tutor/base/echo/kind"
    said = project.doit("history", name).out
    assert "comments only, by" in said
    assert "a comment only" in said
    assert "differs: zoo/evals/judges.py" in said
    assert "not run yet" not in said
    (told,) = story.json("history", name)
    (old,) = told["keys"]
    assert told["next_made"] == old["made"]
    assert told["next_accepted"]["of"] == old["key"]
    shown = project.doit("history", "tutor").out
    assert "now, in no run yet" in shown
    assert "2 stages accepted: comments only" in shown
    story.run()
    (told,) = story.json("history", name)
    new, old = told["keys"]
    assert (told["next"], told["next_accepted"], old["accepted"]) == (None, None, None)
    assert new["accepted"]["why"] == "a comment only"
    assert (new["made"], new["accepted"]["of"]) == (old["made"], old["key"])
    said = project.doit("history", name).out
    assert f", under {old['key'][:8]}" in said
    (told,) = story.json("history", "tutor")
    (accepted,) = told["runs"][0]["changes"]["accepted"]
    assert accepted["stages"] == 2
    # its artifact is gone: nothing is said to be made
    shutil.rmtree(project.root / "artifacts/eval")
    assert f"not made, under {old['key'][:8]}, or removed since" in (
        project.doit("history", name).out
    )


def test_after_gc_the_oldest_run_is_the_first_that_is_noted(tiny: Project) -> None:
    tiny.doit("run", "tiny")
    tiny.dataset("tiny", 5)
    tiny.doit("run", "tiny")
    tiny.doit("gc", "--yes", "--keep=0")
    assert "the first run that is noted" in tiny.doit("history", "tiny").out


def test_derived_rows_are_compared_under_their_dataset_name(tiny: Project) -> None:
    few = '[Dataset("datasets/tiny.jsonl").head(3).named("few")]'
    tiny.setting("tiny", datasets=few)
    tiny.write("datasets/tiny.jsonl", "\n".join(row("q", str(n)) for n in range(6)))
    tiny.doit("run", "tiny")
    tiny.write(
        "datasets/tiny.jsonl",
        "\n".join(row("q", str(n) if n else "other") for n in range(6)),
    )
    tiny.doit("run", "tiny")
    said = tiny.doit("history", "tiny").out
    assert "dataset few: 1 row changed, 2 as before" in said
    assert "data.jsonl" not in said
    of_model = tiny.doit("history", "model:tiny/few/echo/seed0").out
    assert "dataset few: 1 row changed, 2 as before" in of_model
    (told,) = json.loads(tiny.doit("history", "tiny", "--json").out)
    source, derived = told["runs"][0]["changes"]["files"]
    assert (derived["dataset"], derived["what"]) == ("few", "changed")
    assert derived["path"] != derived["was"]
    assert (source["dataset"], source["path"]) == ("", "datasets/tiny.jsonl")
    # taken out of the setting, it is told once
    tiny.setting("tiny", datasets='[Dataset("datasets/tiny.jsonl")]')
    tiny.doit("run", "tiny")
    said = tiny.doit("history", "tiny", "-n", "1").out
    assert said.count("few") == 1
    assert "dataset few removed" in said


def test_rows_of_a_run_that_kept_none_are_told_as_such(tiny: Project) -> None:
    tiny.doit("run", "tiny", "snapshots=no")
    (run,) = ArtifactStore(tiny.root / "artifacts").runs
    tiny.dataset("tiny", 4)
    words = (f"datasets/tiny.jsonl@{run.id}", "datasets/tiny.jsonl")
    said = tiny.doit("diff-data", *words, code=3).err
    assert "were not kept (snapshots=no, in each run that had them)" in said
    assert "doit gc" not in said


# ---- names, by the run log alone


def a_run(time: str, setting: str, **stages: str) -> Run:
    named = {f"{n.replace('__', ':', 1)}": key for n, key in stages.items()}
    return Run(
        time, setting, {n.replace(":", f":{setting}/"): k for n, k in named.items()}
    )


@pytest.mark.parametrize(
    ("there", "old_key", "until", "renamed"),
    [
        (("new",), "1", "2026-01-01T00:00:00Z", True),
        (("new", "old"), "1", "2026-01-01T00:00:00Z", False),  # it is there
        (("new",), "2", "2026-01-01T00:00:00Z", False),  # it has nothing in common
        (("new",), "1", "2026-01-03T00:00:00Z", False),  # both were there
    ],
)
def test_a_setting_was_renamed_if_it_is_gone_and_its_keys_are_not(
    there: tuple[str, ...], old_key: str, until: str, renamed: bool
) -> None:
    runs = [
        a_run(until, "old", **{"model__d/m/seed0": old_key}),
        a_run("2026-01-02T00:00:00Z", "new", **{"model__d/m/seed0": "1"}),
    ]
    runs.sort(key=lambda run: run.time)
    assert former_names("new", runs, (), there) == ({"old": until} if renamed else {})


def test_evals_of_base_models_alone_make_no_former_name() -> None:
    shared = {"eval__base/m/e": "7"}
    runs = [
        a_run("2026-01-01T00:00:00Z", "old", **shared, **{"model__d/m/seed0": "1"}),
        a_run("2026-01-02T00:00:00Z", "new", **shared, **{"model__d/m/seed0": "2"}),
    ]
    assert former_names("new", runs, (), ("new",)) == {}


def test_few_records_are_read_to_explain_a_stage_with_many_keys(
    tiny: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """250 superseded keys of one stage: `nearest` reads its own; a history those that
    it shows."""
    from motools_build.report import explain
    from motools_build.report.contents import Contents
    from motools_build.report.run_changes import RunDiffs
    from motools_build.stages import keyed

    tiny.doit("run", "tiny")
    store = ArtifactStore(tiny.root / "artifacts")
    (run,) = store.runs
    name = "model:tiny/tiny/echo/seed0"
    (record,) = (r for r in store.records("model") if r.name == name)
    runs = []
    for number in range(250):
        inputs = {**record.preimage["inputs"], "dataset": f"{number:032x}"}
        spec = record.preimage["spec"]
        from motools_build.keys import canonical

        key, preimage = keyed(
            "model", record.preimage["version"], "dummy", spec, canonical(spec), inputs
        )
        other = type(record)(**{**vars(record), "key": key, "preimage": preimage})
        folder = store.root / "model" / f"dummy-{key}"
        folder.mkdir()
        (folder / "record.json").write_bytes(other.encode())
        runs.append(
            Run(
                f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z",
                "tiny",
                {name: key},
            )
        )
    read: list[str] = []
    usual = ArtifactStore.by_key

    def by_key(self: ArtifactStore, kind: str, backend: str, key: str) -> Any:
        read.append(key)
        return usual(self, kind, backend, key)

    monkeypatch.setattr(ArtifactStore, "by_key", by_key)
    contents = Contents(store, digest_file)  # type: ignore[arg-type]
    last = runs[-1].stages[name]
    found = stage_history(
        name,
        last,
        lambda: runs,
        RunDiffs(store, contents),
        contents,
        {name: last},
        (),
        10,
    )
    assert [one.planned.key for one in found.entries] == [
        r.stages[name] for r in runs[:-11:-1]
    ]
    assert found.earlier == 240
    assert len(read) <= 11
    read.clear()
    from motools_build.report.off_plan import past_stage

    stage = past_stage(name, "f" * 32, "dummy")
    assert explain.nearest(stage, store) is not None
    assert len(read) <= explain.MOST_READ
    assert run
