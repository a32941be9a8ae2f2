"""A scorer apart: answers are artifacts of their own, asked for once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.lab import BASE, Lab

CHAT = "POST /v1/chat/completions"

QUESTIONS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.solver import generate

QUESTIONS = ["Who are you?", "What do you want?"]

@task
def questions():
    return Task(dataset=[Sample(id=q, input=q) for q in QUESTIONS], solver=generate())
"""

JUDGES = """
from inspect_ai.scorer import Score, mean, scorer, stderr
from wording import verdict

@scorer(metrics=[mean(), stderr()])
def length():
    async def score(state, target):
        return Score(value=float(len(state.output.completion)))
    return score

@scorer(metrics=[mean()])
def judged(prompt="Is it good? {answer}"):
    async def score(state, target):
        from inspect_ai.model import get_model
        asked = prompt.format(answer=state.output.completion)
        said = await get_model(role="grader").generate(asked)
        return Score(value=verdict(said.completion))
    return score

@scorer(metrics=[mean()])
def careless():
    async def score(state, target):
        from inspect_ai.model import get_model
        return Score(value=float(bool(await get_model().generate("good?"))))
    return score
"""

WORDING = """
def verdict(said):
    return 1.0 if "good" in said else 0.0
"""

LONG = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def long():
    samples = [Sample(id=n, input=f"Question {n}", target="n") for n in range(80)]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""


def zoo(project: Project) -> None:
    project.write("zoo/evals/questions.py", QUESTIONS)
    project.write("zoo/evals/judges.py", JUDGES)
    project.write("zoo/evals/wording.py", WORDING)


def asked(scorer: str = "length", **fields: str) -> str:
    """The source of an eval whose scorer is apart."""
    more = "".join(f", {name}={value}" for name, value in fields.items())
    return (
        f'[Eval("zoo/evals/questions.py@questions", '
        f'scorer="zoo/evals/judges.py@{scorer}"{more})]'
    )


GRADER = f'{{"grader": "openai/{BASE}"}}'
EVAL = f"eval:tutor/base/{BASE}/questions"


def samples(block: str = "all") -> str:
    return f"samples:tutor/base/{BASE}/questions/{block}"


@pytest.fixture
def judged(lab: Lab) -> Lab:
    """A judge asked about the answers of a base model, 3 epochs of 2 questions."""
    zoo(lab.project)
    lab.setting(seeds="[0]", evals=asked("judged", epochs="3", roles=GRADER))
    return lab


class TestWhatRuns:
    def test_another_scorer_asks_the_model_nothing(self, judged: Lab) -> None:
        ran = judged.run()
        assert {EVAL, samples("1-3")} <= ran.made
        assert judged.counts()[CHAT] == 24  # two models, answers and verdicts
        judged.setting(seeds="[0]", evals=asked("length", epochs="3"))
        ran = judged.run()
        assert {name.split(":")[0] for name in ran.made} == {"eval"}
        assert judged.counts()[CHAT] == 0

    @pytest.mark.long
    def test_an_edited_prompt_or_parser_asks_the_judge_alone(
        self, judged: Lab, edit: Callable[[Path, str, str], None]
    ) -> None:
        judged.run()
        judged.counts()
        root = judged.project.root / "zoo/evals"
        edit(root / "judges.py", "Is it good?", "Is that good?")
        assert {name.split(":")[0] for name in judged.run().made} == {"eval"}
        assert judged.counts()[CHAT] == 12
        edit(root / "wording.py", "1.0 if", "2.0 if")
        assert {name.split(":")[0] for name in judged.run().made} == {"eval"}
        assert judged.counts()[CHAT] == 12
        edit(root / "wording.py", "2.0 if", "1.0 if")
        assert not judged.run().made
        assert judged.counts()[CHAT] == 0

    @pytest.mark.long
    def test_an_edited_question_runs_that_eval_alone(
        self, judged: Lab, edit: Callable[[Path, str, str], None]
    ) -> None:
        more = '[:-1] + ", Eval(\\"dummy/score\\")]"'
        evals = eval(repr(asked("length")) + more)
        judged.setting(seeds="[0]", evals=evals)
        judged.run()
        judged.counts()
        edit(judged.project.root / "zoo/evals/questions.py", "Who are", "Where are")
        made = judged.run().made
        assert {name.split(":")[0] for name in made} == {"samples", "eval"}
        assert not [name for name in made if name.endswith("score")]
        assert judged.counts()[CHAT] == 4

    @pytest.mark.long
    def test_more_epochs_are_another_block(self, lab: Lab) -> None:
        zoo(lab.project)
        lab.setting(seeds="[0]", evals=asked(epochs="5", block="5"), controls="False")
        lab.run()
        assert lab.counts()[CHAT] == 10
        lab.setting(seeds="[0]", evals=asked(epochs="10", block="5"), controls="False")
        made = lab.run().made
        assert {name.rsplit("/", 1)[1] for name in made} == {"6-10", "questions"}
        assert lab.counts()[CHAT] == 10
        (result,) = json.loads(lab.doit("results", "tutor", "--json").out)["results"]
        assert result["model_id"].startswith("ft:")  # as the recorded answers name it
        assert result["status"] == "ok"
        files = (lab.project.root / "artifacts/eval").glob("*/scores.jsonl")
        assert sorted(len(f.read_text().splitlines()) for f in files) == [10, 20]


class TestTheDummy:
    """The same on the dummy model, whose server is this machine."""

    @pytest.fixture
    def local(self, project: Project) -> Project:
        zoo(project)
        project.dataset("tiny")
        project.setting("tiny", evals=asked(epochs="2"))
        return project

    def test_scores_are_of_all_epochs(self, local: Project) -> None:
        local.doit("run", "tiny")
        record = local.records("eval")["eval:tiny/base/echo/questions"]
        assert record["details"]["samples"] == 4
        assert record["details"]["scores"]["length"]["n"] == 2  # means of two epochs
        lines = (local.root / "artifacts/eval").glob("*/scores.jsonl")
        assert sum(len(file.read_text().splitlines()) for file in lines) == 8

    @pytest.mark.long
    def test_a_model_with_other_weights_is_asked_again(self, local: Project) -> None:
        local.doit("run", "tiny")
        (model,) = (local.root / "artifacts/model").glob("*/record.json")
        model.unlink()
        assert not [n for n in local.doit("run", "tiny").made if n[:4] == "eval"]

    def test_a_scorer_may_not_ask_the_model_under_test(self, local: Project) -> None:
        local.setting("tiny", evals=asked("careless"))
        ran = local.doit("run", "tiny", code=2)
        assert 'Eval(..., roles={"grader": "openai/..."})' in ran.err + ran.out

    def test_an_unknown_scorer_is_named(self, local: Project) -> None:
        local.setting("tiny", evals=asked("lenght"))
        ran = local.doit("run", "tiny", code=3)
        assert "zoo/evals/judges.py has no @scorer 'lenght'" in ran.err + ran.out
        assert "length" in ran.err + ran.out

    def test_clean_and_results_know_them(self, local: Project) -> None:
        local.doit("run", "tiny")
        assert len(local.results("tiny")) == 2
        assert "samples:tiny/base/echo/questions/1-2" in local.records("samples")
        local.doit("clean", "tiny")
        assert not local.records("samples")
        assert not local.records("eval")


@pytest.mark.real_process
def test_a_killed_eval_asks_for_the_rest_only(lab: Lab) -> None:
    lab.project.write("zoo/evals/long.py", LONG)
    lab.setting(seeds="[0]", evals='[Eval("zoo/evals/long.py@long")]', account='"lab"')
    lab.account(connections=4)
    lab.server.faults([{"fault": "slow", "on": CHAT, "value": 0.05}])
    process = lab.start("run", "tutor")
    while lab.server.requests()["counts"].get(CHAT, 0) < 40:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(1)  # what is in flight
    before = lab.counts()[CHAT]
    assert before < 120
    lab.run()
    assert 160 <= before + lab.counts()[CHAT] <= 160 + 4 + 4
    assert not list((lab.project.root / "artifacts/work").iterdir())


HIDDEN = """
from pathlib import Path
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def hidden():
    lines = Path("".join(["ro", "ws.txt"])).read_text().split()
    samples = [Sample(input=line, target="a") for line in lines]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""


def test_an_input_that_nobody_declared_is_told(project: Project) -> None:
    """The samples of a second model are not those of the first."""
    project.write("zoo/evals/hidden.py", HIDDEN)
    rows = project.write("zoo/evals/rows.txt", "a b c")
    project.dataset("tiny")
    project.setting("tiny", evals='[Eval("zoo/evals/hidden.py@hidden")]')
    assert "declare" not in project.doit("run", "tiny").out
    rows.write_text("a b d")
    out = project.doit("run", "tiny", "seeds=0,1").out
    first = "eval:tiny/base/echo/hidden"
    assert f"its samples are not those of {first}" in out
    assert "Eval(data=[...])" in out
    (note,) = {r["note"] for r in project.results("tiny", "seeds=1") if r["note"]}
    assert "its samples" in note
