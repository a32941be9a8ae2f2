"""Results that a person accepted over a cosmetic edit: shown so, never paid for."""

from __future__ import annotations

import asyncio
import io
import json
import random
import shutil
import subprocess
import sys
import zipfile
from contextlib import chdir, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import motools_build
from motools_build.backends.job import StageJob
from motools_build.doit import run as doit_run
from motools_build.errors import ArtifactError, InputError, MotoolsError
from motools_build.keys import Key, digest_file
from motools_build.project import accepting, offering, revoking
from motools_build.project.cleaning import clean
from motools_build.project.preparing import prepare
from motools_build.project.project import Project as Here
from motools_build.project.runtime import runtime_of
from motools_build.report.lock.document import encode
from motools_build.report.page import told
from motools_build.report.page.material import numbers
from motools_build.report.page.tables import cells
from motools_build.report.page.words import unfinished
from motools_build.report.plots.intervals import panels
from motools_build.report.results import results
from motools_build.report.status import Statuses
from motools_build.running import run as running
from motools_build.running.inputs import outputs_of
from motools_build.running.pay_once import PayOnce
from motools_build.serving.lookup import find_model
from motools_build.stages import Stage
from motools_build.store.accepted import Acceptance, Accepted
from motools_build.store.ledger import Ledger
from motools_build.store.locks import Locks
from motools_build.store.runs import now
from motools_build.store.state import States
from motools_build.task_code.cosmetic import only_formatting
from tests.conftest import Project, furnish
from tests.lab import MODEL, Lab
from tests.local.test_facts import a_model
from tests.test_commands import declare, trainings
from tests.test_teacher import ASKED, SCORE, STUDENT, TAUGHT, TEACHER, prompts

TASK = '''\
"""Two questions."""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes

@task
def ask():
    return Task(dataset=[Sample(input="say a", target="a")], scorer=includes())
'''

JUDGE = """\
from inspect_ai.scorer import Score, mean, scorer

@scorer(metrics=[mean()])
def strict():
    async def score(state, target):
        return Score(value=1.0)

    return score
"""

WHOLE = '[Eval("zoo/evals/ask.py@ask")]'
APART = '[Eval("zoo/evals/ask.py@ask", scorer="zoo/evals/judge.py@strict")]'

EVAL = "eval:tiny/tiny/echo/seed0/ask"
SAMPLES = "samples:tiny/tiny/echo/seed0/ask/all"
BASE = "eval:tiny/base/echo/ask"
WHY = ("--why", "only a comment")


class Made:
    """A project whose stages were put into the store as if they had been made, with the
    sources kept, so that no eval has to run."""

    def __init__(self, project: Project, evals: str = WHOLE) -> None:
        self.project = project
        project.dataset("tiny")
        self.task = project.write("zoo/evals/ask.py", TASK)
        self.judge = project.write("zoo/evals/judge.py", JUDGE)
        project.setting("tiny", evals=evals)
        self.make()

    def make(self) -> None:
        """Put an artifact for each stage that has none."""
        with chdir(self.project.root):
            here = Here({})
            for stage in here.plan("tiny").stages:
                if here.store.why_stale(stage):
                    put(here, stage)
            here.note_run()
            here.memo.save()
            for file in (self.task, self.judge):
                here.store.snapshots.keep(str(file), digest_file(file))

    def stages(self) -> dict[str, Stage]:
        with chdir(self.project.root):
            return {stage.name: stage for stage in Here({}).plan("tiny").stages}

    def offered(self) -> set[str]:
        """The stages that `doit plan` and a run offer to accept."""
        with chdir(self.project.root):
            here = Here({})
            found = offering.offered(here, here.plan("tiny").stages)
            return {stage.name for stage in found}

    def comment(self, file: Path | None = None, said: str = "a remark") -> None:
        file = file or self.task
        file.write_text(file.read_text() + f"\n# {said}\n")

    def edit(self, old: str = "say a", new: str = "say aloud") -> None:
        text = self.task.read_text()
        assert old in text
        self.task.write_text(text.replace(old, new))

    def accept(self, *words: str, code: int = 0) -> str:
        ran = self.project.doit("accept", *(words or (EVAL,)), *WHY, code=code)
        return ran.out + ran.err

    def cell(self, name: str = EVAL) -> dict[str, Any]:
        found = {one["stage"]: one for one in self.project.results("tiny")}
        return found[name]

    @property
    def file(self) -> Path:
        return self.project.root / "artifacts" / "accepted.jsonl"

    def folder(self, stage: Stage) -> Path:
        return self.project.root / "artifacts" / stage.folder


def put(here: Here, stage: Stage) -> None:
    """Put an artifact into the store as if the stage had been made."""
    work = here.store.work_folder(stage)
    (work / "payload").write_text(stage.key)
    here.store.put(
        stage,
        work,
        output=f"made:{stage.key}",
        details={"samples": 1, "scores": {"includes": {"accuracy": 0.5}}},
        inputs=outputs_of(stage, here.store),
        made={"time": now(), "seconds": 1.0, "versions": {}},
    )


@pytest.fixture
def made(project: Project) -> Made:
    return Made(project)


# ---- what is only formatting


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("a = 1\n", "a  =  1  # one\n", True),
        ("a = 'x'\n", 'a = "x"\n', True),
        ("a = 1000\n", "a = 1_000\n", True),
        ("f(a, b)\n", "f(\n    a,\n    b,\n)\n", True),
        ("a = 1\n", "a = 2\n", False),
        ("a = 0.0\n", "a = -0.0\n", False),
        ("a = 1\n", "a = True\n", False),
        ("a, b = 1, 2\n", "b, a = 1, 2\n", False),
        ("def f():\n    'Says a.'\n", "def f():\n    'Says b.'\n", False),
        ("x = f'{a}'\n", "x = f'{a=}'\n", False),
        ("if a:\n  b\nc\n", "if a:\n  b\n  c\n", False),
        ("a = 1\n", "a = (\n", False),
        ("a = 'é'\n", "# coding: latin-1\na = 'é'\n", False),
        ("a = 1\n", "a = 1\n\0", False),
    ],
)
def test_only_comments_and_formatting_are_cosmetic(old: str, new: str, same: bool):
    assert only_formatting(old.encode(), new.encode()) is same


def test_what_python_cannot_parse_is_never_equal():
    deep = ("(" * 3000 + "1" + ")" * 3000).encode()
    assert not only_formatting(deep, deep)
    assert not only_formatting(b"a = (", b"a = (")


# ---- accepted by itself


def test_a_comment_is_accepted_and_told_wherever_the_result_is(made: Made):
    before = made.cell()
    made.comment()
    assert made.cell()["status"] == "stale"
    said = made.accept()
    old = before["key"][:8]
    assert f"accepted {EVAL}  {made.cell()['key'][:8]} as {old}" in said
    cell = made.cell()
    assert cell["status"] == "ok"
    assert cell["scores"] == before["scores"]
    assert cell["key"] != before["key"]
    mark = f"only a comment (made under {old})"
    assert cell["note"].startswith("accepted: comments only, by ")
    assert cell["note"].endswith(mark)
    doit = made.project.doit
    out = doit("results", "tiny").out
    assert "accepted 1 of 2 results" in out
    assert mark in out
    assert mark in doit("results", "tiny", "--csv").out
    assert "accepted 1 of 2 results" in doit("results", "tiny", "--by", "eval").out
    assert "accepted 1 of 2 results" in doit("results", "tiny", "--differences").out
    assert mark in doit("plan", EVAL).out
    assert mark in doit("why", EVAL).out
    assert "accepted 1 of tiny" in doit("status", "tiny", code=1).out
    assert json.loads(doit("status", "--json", code=1).out)["accepted"] == {"tiny": 1}
    listed = doit("list", "--all", "--status").out
    (line,) = [line for line in listed.splitlines() if EVAL in line]
    assert "(accepted)" in line
    assert "only a comment" in doit("accept", "--list").out
    (one,) = json.loads(doit("accept", "--list", "--json").out)["accepted"]
    assert one["difference"] == "comments and formatting only"
    assert one["differs"] == ["zoo/evals/ask.py"]
    with chdir(made.project.root):
        frame = motools_build.open_project(made.project.root).results("tiny")
    assert any(str(note).endswith(mark) for note in frame["note"])


def test_the_page_and_figures_mark_what_is_accepted(made: Made):
    made.comment()
    made.accept("tiny")
    with chdir(made.project.root):
        here = Here({})
        found = numbers("tiny", results(here.plan("tiny"), here.store))
        page = cells(found) + unfinished(found)
        (panel,) = panels(found.table, found.scales, found.names)
        statuses = Statuses(here.store)
        stages = [statuses.of(stage) for stage in here.plan("tiny").stages]
    assert page.count("ok, accepted") == 2
    assert "2 of 2 results, made under other keys" in page
    assert panel.title.endswith("(2 accepted)")
    assert "only a comment" in panel.bands[0].points[0].told
    assert told.stages(replace(found, statuses=stages)).count("only a comment") == 2


def test_a_run_makes_nothing_of_what_is_accepted(made: Made):
    made.comment()
    made.accept("tiny")
    tree = made.project.tree()
    ran = made.project.doit("run", "tiny")
    assert "nothing to do" in ran.out
    assert not ran.made
    assert made.project.tree() == tree
    assert made.project.doit("status", "tiny").code == 0


def test_more_than_comments_is_refused_with_what_differs_and_what_to_type(made: Made):
    made.edit()
    out = made.accept(code=3)
    old = made.project.records("eval")[EVAL]["key"]
    assert '-    return Task(dataset=[Sample(input="say a", target="a")]' in out
    assert '+    return Task(dataset=[Sample(input="say aloud"' in out
    assert f"doit accept {EVAL} --of {old[:12]} --why ..." in out
    assert not made.file.exists()
    assert not made.offered()
    assert made.cell()["status"] == "stale"


def test_a_docstring_counts_as_code(made: Made):
    made.edit("Two questions", "Three questions")
    assert "the code differs" in made.accept(code=3)


def test_without_the_earlier_bytes_nothing_is_accepted_by_itself(made: Made):
    made.comment()
    assert made.offered() == {EVAL, BASE}
    shutil.rmtree(made.project.root / "artifacts" / "snapshots")
    assert "earlier bytes are not kept" in made.accept(code=3)
    assert not made.offered()


def test_damaged_earlier_bytes_are_no_proof(made: Made):
    digest = digest_file(made.task)
    made.comment()
    kept = made.project.root / "artifacts" / "snapshots" / digest
    kept.write_bytes(kept.read_bytes().replace(b"say a", b"say b"))
    assert "earlier bytes are not kept" in made.accept(code=3)


def test_a_data_file_is_never_cosmetic(project: Project):
    data = project.write("zoo/evals/data/q.json", '{"a": 1}')
    evals = '[Eval("zoo/evals/ask.py@ask", data=["zoo/evals/data/*.json"])]'
    made = Made(project, evals)
    with chdir(project.root):
        Here({}).store.snapshots.keep(str(data), digest_file(data))
    data.write_text('{"a":  1}')
    assert "the file is data" in made.accept(code=3)


def test_an_option_of_the_eval_is_no_formatting(made: Made):
    made.comment()
    made.project.setting(
        "tiny", evals=WHOLE.replace("@ask", "@ask").replace(")]", ", epochs=2)]")
    )
    out = made.accept(code=3)
    assert "spec.epochs: 1 -> 2" in out or "spec.epochs" in out
    assert "zoo/evals/ask.py: comments and formatting" in out


@pytest.mark.parametrize("why", ["", "...", "  "])
def test_a_reason_is_asked_for(made: Made, why: str):
    made.comment()
    ran = made.project.doit("accept", EVAL, "--why", why, code=3)
    assert "--why says" in ran.err + ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model:tiny/tiny/echo/seed0",), "up to date"),
        (("upload:tiny/tiny/dummy",), "sending a file again is free"),
        (("eval:tiny/none",), "no setting or stage"),
        ((), "takes the stages"),
        ((EVAL, "--revoke", "--list"), "stand alone"),
        (("--revoke", EVAL), "stand alone"),
    ],
)
def test_what_cannot_be_accepted_is_refused_with_the_reason(
    made: Made, words: tuple[str, ...], said: str
):
    made.comment()
    ran = made.project.doit("accept", *words, *WHY, code=3)
    assert said in ran.err + ran.out
    assert not made.file.exists()


def test_a_pattern_accepts_what_it_can_and_tells_the_rest(made: Made):
    made.comment()
    (folder,) = (made.folder(made.stages()[BASE]).parent).glob(
        f"*{made.project.records('eval')[BASE]['key']}"
    )
    shutil.rmtree(folder)  # the base model's was never made
    out = made.accept("tiny")
    assert f"accepted {EVAL}" in out
    assert f"left     {BASE} has no earlier artifact" in out


# ---- scorers apart, and what goes along


def test_scores_go_along_with_accepted_samples(project: Project):
    made = Made(project, APART)
    made.comment()
    out = made.accept(EVAL, code=3)
    assert f"doit accept {SAMPLES} --why ..." in out
    out = made.accept(SAMPLES)
    assert f"accepted {SAMPLES}" in out
    assert f"accepted {EVAL}" in out
    note = made.cell()["note"]
    assert note.startswith(f"accepted with {SAMPLES}: comments only")
    assert made.cell()["status"] == "ok"
    assert made.cell(BASE)["status"] == "stale"
    revoked = project.doit("accept", "--revoke", SAMPLES).out
    assert f"revoked {EVAL}" in revoked
    assert made.cell()["status"] == "stale"


def test_a_scorer_s_comment_leaves_the_samples_alone(project: Project):
    made = Made(project, APART)
    made.comment(made.judge)
    out = made.accept(EVAL)
    assert SAMPLES not in out
    assert made.cell()["status"] == "ok"


def test_both_edited_are_accepted_at_once(project: Project):
    made = Made(project, APART)
    made.comment()
    made.comment(made.judge)
    made.accept("tiny")
    assert {one["status"] for one in project.results("tiny")} == {"ok"}
    assert "nothing to do" in project.doit("run", "tiny").out


def test_what_has_an_artifact_under_the_new_key_is_left_alone(project: Project):
    made = Made(project, APART)
    made.comment()
    with chdir(project.root):
        here = Here({})
        put(here, {s.name: s for s in here.plan("tiny").stages}[EVAL])
    out = made.accept(SAMPLES)
    assert f"accepted {EVAL}" not in out


def test_a_comment_in_a_training_script_is_accepted_with_all_evals(project: Project):
    project.dataset("rows")
    project.write("scripts/__init__.py", "")
    script = project.write("scripts/train.py", "import sys\n")
    a_model(project.root / "models" / "one")
    declare(project)
    trainings(project, "Training()")
    setting = project.root / "zoo/ours.py"
    text = setting.read_text().replace("zoo/evals/asks.py@asks", "dummy/score")
    setting.write_text(text)
    with chdir(project.root):
        here = Here({})
        for stage in here.plan("ours").stages:
            put(here, stage)
        here.note_run()
        here.store.snapshots.keep(str(script), digest_file(script))
    script.write_text("import sys  # for argv\n")
    out = project.doit("plan", "model:ours/*").out
    assert out.count("; only comments or formatting differ)") == 2
    assert "\nonly comments or formatting differ: doit accept ours --why ..." in out
    out = project.doit("accept", "model:ours/*", *WHY).out
    assert out.count("accepted ") == 4
    found = project.results("ours", "seeds=0,1")
    assert {one["status"] for one in found} == {"ok"}
    script.write_text("import os\n")
    out = project.doit("accept", "model:ours/*", *WHY, code=3)
    assert "more than comments" in out.err


def test_students_go_along_with_their_teacher(project: Project):
    """What a teacher wrote is accepted with it, and is not asked for again."""
    file = project.dataset("school", 5)
    prompts(project)
    project.setting("school", datasets=TAUGHT, controls="False")
    with chdir(project.root):
        here = Here({})
        for stage in here.plan("school").stages:
            put(here, stage)
        here.note_run()
    old = project.records("model")[TEACHER]["key"]
    file.write_text(file.read_text().replace("3", "three"))
    out = project.doit("accept", TEACHER, "--of", old, *WHY).out
    for name in (TEACHER, ASKED, STUDENT, SCORE):
        assert f"accepted {name} " in out
    assert "nothing to do" in project.doit("run", "school").out
    project.setting(
        "school",
        datasets=TAUGHT,
        controls="False",
        evals='[Eval("dummy/score"), Eval("dummy/more")]',
    )
    with chdir(project.root):
        here = Here({})
        more = [s for s in here.plan("school").stages if s.name.endswith("/more")]
        assert len(more) == 2
        for stage in more:
            put(here, stage)
        assert [here.store.why_stale(stage) for stage in more] == [None, None]
    assert {one["status"] for one in project.results("school")} == {"ok"}
    assert "nothing to do" in project.doit("run", "school").out
    project.doit("accept", "--revoke", TEACHER)
    statuses = {one["stage"]: one["status"] for one in project.results("school")}
    assert statuses[SCORE] == "stale"


# ---- by named keys


def test_a_named_key_is_accepted_loudly_whatever_differs(made: Made):
    old = made.project.records("eval")[EVAL]["key"]
    made.edit()
    out = made.accept(EVAL, "--of", old[:12])
    assert "though there differs:" in out
    assert "say aloud" in out
    note = made.cell()["note"]
    assert note.startswith("accepted: zoo/evals/ask.py, named by hand, by ")
    (one,) = json.loads(made.project.doit("accept", "--list", "--json").out)["accepted"]
    assert one["difference"] == "other: named by hand"


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("model", "model:tiny/tiny/echo/seed0", "never equivalent"),
        ("eval", BASE, "of another model"),
    ],
)
def test_no_named_key_of_another_kind_or_model_is_accepted(
    made: Made, kind: str, name: str, said: str
):
    other = made.project.records(kind)[name]["key"]
    made.edit()
    assert said in made.accept(EVAL, "--of", other, code=3)


def test_another_backend_is_never_equivalent(made: Made):
    old = made.project.records("eval")[EVAL]["key"]
    made.project.setting("tiny", evals='[Eval("dummy/ask")]')
    assert "never equivalent" in made.accept(EVAL, "--of", old, code=3)


@pytest.mark.parametrize("of", ["0123", "0123456789ab"])
def test_a_key_that_names_no_artifact_is_refused(made: Made, of: str):
    made.edit()
    assert "--of" in made.accept(EVAL, "--of", of, code=3)


# ---- later edits


def test_a_later_edit_is_not_covered_and_an_undone_one_is_up_to_date(made: Made):
    text = made.task.read_text()
    made.comment()
    made.accept()
    accepted = made.task.read_text()
    made.edit()
    assert made.cell()["status"] == "stale"
    made.task.write_text(accepted)
    assert made.cell()["status"] == "ok"
    made.task.write_text(text)
    assert (made.cell()["status"], made.cell()["note"]) == ("ok", "")


def test_an_accepted_one_is_accepted_on_as_the_original(made: Made):
    old = made.project.records("eval")[EVAL]["key"]
    made.comment()
    made.accept()
    middle = made.cell()["key"]
    made.comment(said="another")
    made.accept()
    found = json.loads(made.project.doit("accept", "--list", "--json").out)["accepted"]
    assert [one["of"] for one in found] == [old, old]
    assert [one["key"] for one in found] == [middle, made.cell()["key"]]
    made.edit()
    made.accept(EVAL, "--of", middle[:12])
    assert old[:8] in made.cell()["note"]


def test_a_renamed_stage_keeps_its_acceptance(made: Made):
    made.comment()
    made.accept("tiny")
    zoo = made.project.root / "zoo"
    (zoo / "tiny.py").rename(zoo / "small.py")
    (found,) = [r for r in made.project.results("small") if r["dataset"] == "tiny"]
    assert found["status"] == "ok"
    assert "accepted" in found["note"]
    assert "nothing to do" in made.project.doit("run", "small").out
    made.project.doit("accept", "--revoke", found["stage"])
    assert made.project.doit("status", "small", code=1).code == 1


def test_smoke_has_keys_of_its_own(made: Made):
    made.comment()
    made.accept("tiny")
    out = made.project.doit("results", "tiny", "--json", "smoke=yes").out
    assert {one["status"] for one in json.loads(out)["results"]} == {"missing"}


# ---- never made


def test_accepting_is_refused_while_a_run_makes_the_stage(made: Made):
    made.comment()
    key = made.stages()[EVAL].key
    locks = Locks(made.project.root / "artifacts" / "lock")
    assert locks.take(key)
    try:
        assert "being made by a run" in in_another_process(
            made.project, "accept", EVAL, *WHY
        )
    finally:
        locks.drop(key)
    assert not made.file.exists()
    made.accept()


def in_another_process(project: Project, *words: str) -> str:
    out, err = project.start(*words).communicate(timeout=60)
    return out + err


@pytest.mark.parametrize("damage", ["gone", "cut", "payload"])
def test_a_lost_artifact_blocks_and_is_never_made(made: Made, damage: str):
    old = made.project.records("eval")[EVAL]
    made.comment()
    made.accept("tiny")
    (folder,) = (made.project.root / "artifacts" / "eval").glob(f"*{old['key']}")
    if damage == "gone":
        shutil.rmtree(folder)
    elif damage == "cut":
        (folder / "record.json").write_bytes(b"{")
    else:
        (folder / "payload").write_text("")
    assert made.cell()["status"] == "failed"
    assert f"doit accept --revoke {EVAL}" in made.cell()["note"]
    told = made.project.doit("plan", EVAL, "--json").out
    actions = {one["stage"]: one["action"] for one in json.loads(told)}
    assert actions[EVAL] == "blocked"
    ran = made.project.doit("run", "tiny", code=None)
    assert ran.code in (1, 2)
    assert not ran.made
    assert f"doit accept --revoke {EVAL}" in ran.out + ran.err
    assert "to try it again" not in ran.out + ran.err
    made.project.doit("accept", "--revoke", EVAL)
    assert made.cell()["status"] in ("stale", "missing")


def test_always_refuses_what_is_accepted(made: Made):
    made.comment()
    made.accept("tiny")
    ran = made.project.doit("run", "--always", "eval:tiny/*", code=None)
    assert ran.code in (1, 2)
    assert not {name for name in ran.made if name.startswith("eval:")}
    assert "doit accept --revoke" in ran.out + ran.err


@pytest.mark.parametrize("always", [False, True])
def test_what_was_accepted_since_a_run_planned_it_is_not_made(
    made: Made, monkeypatch: pytest.MonkeyPatch, always: bool
):
    """The run asks again once it holds the stage's lock."""

    async def perform(stage: Stage, job: Any, runtime: Any) -> Any:
        raise AssertionError(stage.name)

    monkeypatch.setattr(running, "perform", perform)
    made.comment()
    with chdir(made.project.root):
        here = Here({})
        stage = {s.name: s for s in here.plan("tiny").stages}[EVAL]
        assert here.store.why_stale(stage)
        made.accept()

        async def run() -> bool:
            runtime = runtime_of(here, 1, lambda stage, progress: None, always)
            try:
                return await running.run_stage(stage, runtime)
            finally:
                await runtime.close()

        if always:
            with pytest.raises(ArtifactError, match="--revoke"):
                asyncio.run(run())
        else:
            assert asyncio.run(run()) is False
        assert here.store.states.failure(stage.key) is None


def test_nothing_is_sent_for_what_is_accepted(tmp_path: Path):
    """Where a job is sent, it is asked once more."""

    def forbidden(name: str, key: str) -> None:
        raise ArtifactError(f"{name} {key}")

    states, ledger = States(tmp_path), Ledger(tmp_path / "ledger.jsonl")
    machine = PayOnce(states, ledger, settle=0.1, forbidden=forbidden)
    job = StageJob("model", "openai", Key("0" * 32), "model:a/b", None, "")
    with pytest.raises(ArtifactError, match="model:a/b 0000"):
        asyncio.run(machine.make(job, None, lambda progress: None))  # type: ignore[arg-type]


def test_an_observed_file_that_changed_is_told_and_not_accepted(made: Made):
    """It is in no key, so there is no other key to accept."""
    with chdir(made.project.root):
        here = Here({})
        stage = {s.name: s for s in here.plan("tiny").stages}[EVAL]
        made.project.write("notes.txt", "one")
        work = here.store.work_folder(stage)
        (work / "payload").write_text("x")
        here.store.put(
            stage,
            work,
            output="x",
            details={
                "samples": 1,
                "scores": {"includes": {"accuracy": 0.5}},
                "observed": {"notes.txt": digest_file(Path("notes.txt"))},
            },
            inputs=outputs_of(stage, here.store),
            made={"time": now(), "seconds": 1.0, "versions": {}},
        )
    made.project.write("notes.txt", "two")
    assert "not by its key" in made.accept(code=3)
    made.comment()
    assert "is stale as well" in made.accept(code=3)
    assert not made.file.exists()


# ---- revoked, cleaned, collected


@pytest.mark.parametrize("word", ["name", "key", "old key", "pattern"])
def test_revoking_makes_it_stale_again_and_touches_no_artifact(made: Made, word: str):
    old = made.project.records("eval")[EVAL]["key"]
    made.comment()
    made.accept()
    words = {
        "name": EVAL,
        "key": made.cell()["key"][:8],
        "old key": old[:10],
        "pattern": "eval:tiny/*",
    }
    tree = made.project.tree()
    assert f"revoked {EVAL}" in made.project.doit("accept", "--revoke", words[word]).out
    assert made.project.tree() == tree
    assert made.cell()["status"] == "stale"
    again = made.project.doit("accept", "--revoke", words[word], code=3)
    assert "no accepted stage" in again.err + again.out
    assert "nothing is accepted" in made.project.doit("accept", "--list").out
    made.accept()
    assert made.cell()["status"] == "ok"


def test_clean_revokes_and_leaves_the_other_key_s_artifact(made: Made):
    old = made.project.records("eval")[EVAL]["key"]
    made.comment()
    made.accept()
    dry = made.project.doit("clean", "--dry-run", EVAL).out
    assert f"would revoke what was accepted as {EVAL}" in dry
    assert made.cell()["status"] == "ok"
    out = made.project.doit("clean", EVAL).out
    assert f"revoked {EVAL}, accepted as {old[:8]}, which stays" in out
    assert made.cell()["status"] == "stale"
    assert made.project.records("eval")[EVAL]["key"] == old


def test_clean_and_gc_keep_what_is_accepted_for_a_present_stage(made: Made):
    made.comment()
    made.accept("tiny")
    made.project.doit("gc", "--keep=0", "--yes")
    assert made.cell()["status"] == "ok"
    made.project.doit("accept", "--revoke", "tiny")
    gone = made.project.doit("gc", "--keep=0", "--yes").out
    assert "removed 2 artifacts" in gone


def test_clean_keeps_what_another_setting_has_accepted(made: Made):
    """Two settings have one model; in one of them its eval was edited."""
    made.project.write("zoo/evals/other.py", TASK)
    text = (made.project.root / "zoo/tiny.py").read_text()
    made.project.write("zoo/other.py", text.replace("evals/ask", "evals/other"))
    made.comment(made.project.root / "zoo/evals/other.py")
    made.project.doit("accept", "eval:other/tiny/echo/seed0/ask", *WHY, code=None)
    old = made.project.records("eval")[EVAL]["key"]
    made.project.doit(
        "accept", "eval:other/tiny/echo/seed0/ask", "--of", old, *WHY, code=None
    )
    out = made.project.doit("clean", EVAL).out
    assert f"kept {EVAL}: other uses it" in out


# ---- the file


def test_the_file_is_not_read_if_it_is_not_there(made: Made):
    with chdir(made.project.root):
        store = Here({}).store
        assert store.accepted.of("0" * 32) is None
    assert not made.file.exists()


def test_a_line_that_a_full_disk_cut_counts_for_nothing(made: Made):
    made.comment()
    made.accept()
    whole = made.file.read_bytes()
    made.file.write_bytes(whole[:-40])
    assert made.cell()["status"] == "stale"
    told = "line 1 of artifacts/accepted.jsonl has no end"
    assert told in made.project.doit("verify", code=1).out
    assert told in json.loads(made.project.doit("verify", "--json", code=1).out)["cut"]
    made.accept(BASE)
    assert made.file.read_bytes().count(b"\n") == 1
    assert made.cell(BASE)["status"] == "ok"
    made.file.write_bytes(whole + whole[:50])
    assert made.cell()["status"] == "ok"


def test_a_changed_byte_stops_all_that_would_make_something(made: Made):
    made.comment()
    made.accept()
    data = made.file.read_bytes()
    key = made.cell()["key"].encode()
    other = (b"1" if key[:1] != b"1" else b"2") + key[1:]
    made.file.write_bytes(data.replace(key, other))
    for words in (("run", "tiny"), ("results", "tiny"), ("accept", BASE, *WHY)):
        ran = made.project.doit(*words, code=3)
        assert "line 1 of artifacts/accepted.jsonl is damaged" in ran.out + ran.err
    told = made.project.doit("verify", code=1).out
    assert "line 1 of artifacts/accepted.jsonl is damaged" in told
    made.file.write_bytes(data)
    assert made.cell()["status"] == "ok"


def test_a_newer_format_is_refused_and_left_as_it_is(made: Made):
    made.comment()
    line = {"format": 9, "version": "9.0", "event": "accepted", "stages": []}
    made.file.write_text(json.dumps(line) + "\n")
    before = made.file.read_bytes()
    for words in (
        ("run", "tiny"),
        ("accept", EVAL, *WHY),
        ("accept", "--revoke", EVAL),
    ):
        ran = made.project.doit(*words, code=3)
        assert "upgrade motools_build to 9.0" in ran.out + ran.err
    assert made.file.read_bytes() == before


def test_verify_tells_of_an_artifact_that_is_gone(made: Made):
    old = made.project.records("eval")[EVAL]["key"]
    made.comment()
    made.accept()
    assert "0 broken" in made.project.doit("verify").out
    (folder,) = (made.project.root / "artifacts" / "eval").glob(f"*{old}")
    shutil.rmtree(folder)
    out = made.project.doit("verify", code=1).out
    assert f"doit accept --revoke {EVAL}" in out
    made.project.doit("accept", "--revoke", EVAL)
    made.project.doit("verify")


def test_an_act_that_was_killed_stands_as_a_whole_or_not_at_all(
    made: Made, monkeypatch: pytest.MonkeyPatch
):
    """The file is replaced at once: a death before leaves the old one."""
    made.comment()
    made.accept(BASE)
    before = made.file.read_bytes()

    def dies(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("motools_build.store.files.replace", dies)
    with chdir(made.project.root), pytest.raises(KeyboardInterrupt):
        accepting.accept(Here({}), [EVAL], "a comment")
    monkeypatch.undo()
    assert made.file.read_bytes() == before
    with chdir(made.project.root):
        accepting.accept(Here({}), [EVAL], "a comment")
    assert made.cell()["status"] == "ok"


def test_two_processes_write_one_after_the_other(tmp_path: Path):
    """Neither loses what the other wrote."""
    code = (
        "import sys; from pathlib import Path\n"
        "from motools_build.store.accepted import Acceptance, Accepted\n"
        "from motools_build.store.locks import Locks\n"
        "root = Path(sys.argv[1])\n"
        "for n in range(20):\n"
        "    Accepted(root / 'accepted.jsonl', Locks(root / 'lock')).note([Acceptance("
        "'eval:a/b', 'eval', 'x', f'{sys.argv[2]}{n}', 'of', 'other', why='w')])\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), word])
        for word in ("a", "b")
    ]
    assert [one.wait(60) for one in both] == [0, 0]
    found = Accepted(tmp_path / "accepted.jsonl", Locks(tmp_path / "lock"))
    assert len([*found]) == 40


def test_no_key_is_hidden_and_no_secret_is_written(tmp_path: Path):
    from motools_build.text.scrub import remember

    remember("sk-very-secret-words-0123456789")
    found = Accepted(tmp_path / "accepted.jsonl", Locks(tmp_path / "lock"))
    why = "sk-very-secret-words-0123456789 \udc80 ü"
    found.note([Acceptance("eval:a/b", "eval", "x", "k", "o", "other", why=why)])
    assert "secret" not in found.file.read_text()
    one = found.of("k")
    assert one is not None
    assert "ü" in one.why


# ---- nothing is paid


def test_an_accepted_model_is_never_paid_for(lab: Lab):
    """Another row, which a person holds to make no difference."""
    lab.setting(seeds="[0]")
    lab.run()
    name, project = f"{MODEL}0", lab.project
    old = project.records("model")[name]["key"]
    rows = project.root / "datasets/tutor.jsonl"
    text = rows.read_text()
    rows.write_text(text.replace("11", "eleven"))
    assert rows.read_text() != text
    refused = lab.doit("accept", name, *WHY, code=3)
    assert "other rows" in refused.err + refused.out
    out = lab.doit("accept", name, "--of", old, *WHY).out
    assert "though there differs" in out
    assert "accepted eval:tutor/" in out
    lab.counts()
    assert set(lab.statuses().values()) == {"ok"}
    assert "nothing to do" in lab.run().out
    for words in (("run", "--always", "tutor"), ("retry", name)):
        ran = lab.doit(*words, code=None)
        assert ran.code != 0
        assert "doit accept --revoke" in ran.out + ran.err
    adopted = lab.there("models")[0]["id"]
    ran = lab.doit("adopt", name, adopted, code=3)
    assert "doit accept --revoke" in ran.out + ran.err
    (folder,) = (project.root / "artifacts" / "model").glob(f"*{old}")
    aside = project.root / "aside"
    folder.rename(aside)
    ran = lab.run(code=2)
    assert f"doit accept --revoke {name}" in ran.out + ran.err
    assert not [asked for asked in lab.counts() if asked.startswith("POST")]
    aside.rename(folder)
    lab.doit("accept", "--revoke", name)
    lab.run()
    assert lab.created() == 1


def test_a_stage_whose_job_is_under_way_is_not_accepted(lab: Lab):
    lab.setting(seeds="[0]")
    lab.run()
    name = f"{MODEL}0"
    old = lab.project.records("model")[name]["key"]
    rows = lab.project.root / "datasets/tutor.jsonl"
    rows.write_text(rows.read_text().replace("11", "eleven"))
    lab.run("wait=no")
    ran = lab.doit("accept", name, "--of", old, *WHY, code=3)
    assert "has a job of its own" in ran.out + ran.err
    lab.run()
    ran = lab.doit("accept", name, "--of", old, *WHY, code=3)
    assert "up to date" in ran.out + ran.err


# ---- any order of things


STEPS = (
    *("edit", "edit", "edit", "accept", "accept", "accept", "accept"),
    *("run", "run", "revoke", "always", "clean"),
)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_nothing_accepted_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    """Of datasets' versions, any may be accepted as any. Each stage that a run begins
    to make has no standing acceptance, and no model is made twice unless asked."""
    project = furnish(tmp_path / "project")
    project.dataset("tiny")
    project.setting("tiny", seeds="[0, 1]", controls="False")
    begun: list[str] = []
    perform = running.perform

    async def watched(stage: Stage, job: Any, runtime: Any) -> Any:
        fresh = Accepted(
            Path("artifacts/accepted.jsonl"), Locks(Path("artifacts/lock"))
        )
        assert fresh.of(stage.key) is None, f"{stage.name} is accepted"
        begun.append(stage.name)
        return await perform(stage, job, runtime)

    monkeypatch.setattr(running, "perform", watched)
    draw = random.Random(seed)
    happened = ["run"]
    with chdir(project.root):
        accepted = _step(project, "run", draw)
    for _ in range(40):
        step = draw.choice(STEPS)
        happened.append(step)
        with chdir(project.root):
            accepted += _step(project, step, draw)
            store = Here({}).store
            for one in store.accepted:
                assert store.by_key(one.kind, one.backend, one.of), happened
    assert begun
    assert accepted


def _step(project: Project, step: str, draw: random.Random) -> int:
    """Do one thing; returns how many stages it accepted."""
    if step == "edit":
        project.dataset("tiny", first=draw.randrange(8))
        return 0
    if step in ("run", "always"):
        words = ["--always"] if step == "always" else []
        with redirect_stdout(io.StringIO()):
            doit_run(["run", *words, "tiny"])
        return 0
    here = Here({})
    models = [stage for stage in here.plan("tiny").stages if stage.kind == "model"]
    stage = draw.choice(models)
    if step == "revoke":
        with suppress(MotoolsError):
            revoking.revoke(here, [stage.name])
        return 0
    if step == "clean":
        # what is accepted elsewhere is not this test's to lose
        held = {one.of for one in here.store.accepted}
        every = [s for s in here.plan("tiny").stages if s.key not in held]
        [*clean(here, every, dry=False)]
        return 0
    others = [
        record
        for record in here.store.records("model")
        if record.preimage["spec"] == stage.preimage["spec"]
    ]
    if not others:
        return 0
    try:
        of = draw.choice(others).key
        return len(accepting.accept(here, [stage.name], "equal", of).accepted)
    except (InputError, ArtifactError):
        return 0


def test_an_accepted_model_is_served_under_its_name(made: Made):
    name = "model:tiny/tiny/echo/seed0"
    old = made.project.records("model")[name]["key"]
    made.project.dataset("tiny", first=1)
    made.project.doit("accept", name, "--of", old, *WHY)
    with chdir(made.project.root):
        here = Here({})
        here.plan("tiny")
        here.note_run()
        assert find_model(here.store, name).key == old


def test_a_result_of_an_accepted_model_tells_the_rows_that_it_learned(made: Made):
    name = "model:tiny/tiny/echo/seed0"
    before = made.cell()
    made.project.dataset("tiny", first=1)
    out = made.project.doit("accept", name, "--of", before["model_key"], *WHY).out
    assert "inputs.dataset (other rows)" in out
    after = made.cell()
    assert after["status"] == "ok"
    assert after["dataset_digest"] == before["dataset_digest"]
    assert after["model_id"] == before["model_id"]
    assert "the rows it was trained on, named by hand" in after["note"]
    why = made.project.doit("why", EVAL).out
    assert f"recorded output          {before['model_id']}" in why


def test_a_result_that_was_taken_out_of_its_setting_stays_marked(made: Made):
    made.comment()
    made.accept("tiny")
    with chdir(made.project.root):
        here = Here({})
        here.plan("tiny")
        here.note_run()
    made.project.setting("tiny", evals='[Eval("dummy/score")]')
    told = made.project.doit("results", "tiny", "--json").out
    notes = [one["note"] for one in json.loads(told)["off_plan"]]
    assert len(notes) == 2
    assert all("accepted: comments only" in note for note in notes)


def test_a_run_offers_to_keep_results_before_it_begins(made: Made):
    made.comment()
    with chdir(made.project.root):
        here = Here({})
        said: list[str] = []
        prepare(here, here.plan("tiny").stages, said.append, always=False)
    assert said == [
        "only comments or formatting differ: doit accept tiny --why ... keeps 2 results"
    ]


def test_a_figure_of_accepted_results_is_current_until_they_are_revoked(made: Made):
    made.comment()
    made.accept("tiny")
    doit = made.project.doit
    doit("plot", "tiny", "--out", "a.svg")
    doit("report", "tiny")
    for file in ("a.svg", "tiny.html"):
        told = json.loads(doit("trace", file, "--json").out)
        assert told["counts"] == {"current": 2}
    doit("accept", "--revoke", EVAL)
    told = json.loads(doit("trace", "a.svg", "--json", code=1).out)
    assert told["counts"] == {"current": 1, "superseded": 1}


@pytest.mark.parametrize(
    "form", ["--format=table", "--format=md", "--format=latex", "--csv", "--json"]
)
@pytest.mark.parametrize("kind", [(), ("--by", "eval"), ("--differences",)])
def test_a_lock_tells_what_is_accepted_as_the_artifacts_do(
    made: Made, kind: tuple[str, ...], form: str
):
    made.comment()
    made.accept("tiny")
    doit = made.project.doit
    doit("lock", "tiny")
    if form == "--format=table":  # the lock's own line is above the table
        shown = doit("results", "tiny", *kind).out
        assert "accepted 2 of 2 results" in shown
        from_lock = doit("results", "tiny", *kind, "--from-lock").out
        assert from_lock.partition("\n")[2] == shown
    else:
        shown = doit("results", "tiny", *kind, form).out
        assert doit("results", "tiny", *kind, form, "--from-lock").out == shown
    doit("plot", "tiny", "--from-lock", "--out", "a.svg")
    doit("trace", "a.svg")


def test_a_lock_of_a_version_that_locked_no_acceptance_is_read(made: Made):
    made.comment()
    made.accept("tiny")
    made.project.doit("lock", "tiny")
    file = made.project.root / "zoo/tiny.lock.json"
    body = json.loads(file.read_bytes())
    for one in body["results"]:
        assert one.pop("accepted")["why"] == "only a comment"
    file.write_bytes(encode(body))
    out = made.project.doit("results", "tiny", "--from-lock", "--json").out
    assert "only a comment" in out
    body["results"][0]["accepted"] = {"stage": 1}
    file.write_bytes(encode(body))
    err = made.project.doit("results", "tiny", "--from-lock", code=3).err
    assert "not as `doit lock` writes it" in err


def test_a_bundle_has_the_rows_that_an_accepted_model_learned(made: Made):
    name, rows = "model:tiny/tiny/echo/seed0", made.project.root / "datasets/tiny.jsonl"
    learned, digest = rows.read_bytes(), str(digest_file(rows))
    old = made.project.records("model")[name]["key"]
    made.project.dataset("tiny", first=1)
    with chdir(made.project.root):
        snapshots = Here({}).store.snapshots.folder
        snapshots.mkdir(exist_ok=True)
        (snapshots / digest).write_bytes(learned)
    made.project.doit("accept", name, "--of", old, *WHY)
    made.project.doit("lock", "tiny")
    made.project.doit("bundle", "tiny")
    with zipfile.ZipFile(made.project.root / "tiny.bundle.zip") as archive:
        (data,) = [one for one in archive.namelist() if one.startswith("datasets/")]
        assert archive.read(data) == learned
        readme = archive.read("README.md").decode()
        crate = archive.read("ro-crate-metadata.json").decode()
    assert "Accepted 1 of 2 results" in readme
    assert "only a comment" in readme
    assert "accepted 1 of 2 results" in crate


def test_a_setting_without_anything_to_accept_says_how_to_see_what_differs(made: Made):
    made.edit()
    said = made.accept("tiny", code=3)
    (hint,) = [one for one in said.splitlines() if one.startswith("what differs: ")]
    words = hint.removeprefix("what differs: doit ").split()
    assert words[0] == "why"
    assert "zoo/evals/ask.py" in made.project.doit(*words, code=None).out


def test_the_rows_of_an_accepted_model_are_those_that_it_learned(made: Made):
    name, rows = "model:tiny/tiny/echo/seed0", "datasets/tiny.jsonl"
    data = (made.project.root / rows).read_bytes()
    with chdir(made.project.root):
        snapshots = Here({}).store.snapshots.folder
        snapshots.mkdir(exist_ok=True)
        (snapshots / str(digest_file(Path(rows)))).write_bytes(data)
    old = made.project.records("model")[name]["key"]
    made.project.dataset("tiny", first=1)
    made.project.doit("accept", name, "--of", old, *WHY)
    made.make()  # notes a run with the rows as they are now

    def same(word: str) -> bool:
        told = json.loads(made.project.doit("diff-data", word, rows, "--json").out)
        return not any(told[n] for n in ("changed", "added", "removed", "moved"))

    assert not same(name)
    assert not same(EVAL)
    assert same("tiny/tiny")
    with chdir(made.project.root):
        run = [*Here({}).store.runs][-1]
    assert same(f"tiny/tiny@{run.id}")
    assert not same(f"{name}@{run.id}")
    made.project.doit("accept", "--revoke", name)
    assert same(name)
