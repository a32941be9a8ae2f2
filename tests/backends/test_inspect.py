"""A result counts only if nothing is missing in it; real Inspect, dummy models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motools_build.backends.base import Given, Job, Made, Progress
from motools_build.backends.inspect import InspectBackend
from motools_build.errors import EvalFailed

# what Inspect and its dependencies deprecate or leave open is not ours to mend
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TASKS = """
import os

from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model, GenerateConfig
from inspect_ai.scorer import Score, accuracy, match, mean, scorer, stderr
from inspect_ai.solver import generate, solver

SAMPLES = [Sample(input=f"say {i}", target=f"say {i}") for i in range(4)]

@scorer(metrics=[mean(), stderr()])
def length():
    async def score(state, target):
        return Score(value=float(len(state.output.completion)))
    return score

@scorer(metrics=[mean()])
def unsure():
    async def score(state, target):
        last = state.output.completion.endswith("3")
        return Score(value=float("nan") if last else 1.0)
    return score

@solver
def fragile():
    async def solve(state, generate):
        if state.input_text.endswith("2"):
            raise ValueError("the sandbox fell over")
        return await generate(state)
    return solve

@task
def good(n: int = 4):
    return Task(dataset=SAMPLES[:n], solver=generate(), scorer=[match(), length()])

@task
def broken():
    return Task(dataset=SAMPLES, solver=fragile(), scorer=match())

@task
def tolerant():
    return Task(dataset=SAMPLES, solver=fragile(), scorer=match(), fail_on_error=False)

@task
def nan():
    return Task(dataset=SAMPLES, solver=generate(), scorer=unsure())

@task
def empty():
    return Task(dataset=[], solver=generate(), scorer=match())

@task
def unscored():
    return Task(dataset=SAMPLES, solver=generate())

@task
def unsupported():
    config = GenerateConfig(top_p=0.5)
    return Task(dataset=SAMPLES, solver=generate(), scorer=match(), config=config)

@scorer(metrics=[mean()])
def judged():
    async def score(state, target):
        answer = await get_model(role="grader").generate("verdict?")
        return Score(value=float(answer.completion == "verdict?"))
    return score

@task
def judging():
    return Task(dataset=SAMPLES, solver=generate(), scorer=judged())

LACKING = "[bold]ERROR[/bold]: Install with:\\n\\n[bold]pip z[/bold]"

@solver
def raising(error):
    async def solve(state, generate):
        if error == "file":
            os.stat("q/gone.txt")
        if error == "lines":
            raise ValueError("it lacks it. Install with:\\n\\n  pip install x[y]")
        raise PrerequisiteError(LACKING)
    return solve

@task
def raises(error: str):
    return Task(dataset=SAMPLES[:1], solver=raising(error), scorer=match())

@task
def lacking():
    raise PrerequisiteError(LACKING)

@task
def wrong():
    raise RuntimeError("the task's own mistake")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSPECT_DISPLAY", "none")
    return tmp_path


def run(
    task: str,
    told: list[Progress] | None = None,
    given: Given | None = None,
    roles: dict[str, str] | None = None,
    **asked: object,
) -> Made:
    params = {
        "model": "dummy/echo",
        "file": "tasks.py",
        "function": task,
        "setting": "s",
        "dataset": "base",
        "seed": None,
        "subject": "s/base/echo",
        "overrides": asked,
        "roles": roles or {},
    }
    job = Job(
        kind="eval",
        backend="inspect",
        key="0" * 32,
        name=f"eval:s/base/echo/{task}",
        params=params,
        work="work",
        given={"model": given} if given else {},
    )
    return InspectBackend().work(job, (told if told is not None else []).append)


def test_a_success(here: Path) -> None:
    told: list[Progress] = []
    made = run("good", told)
    assert made.details["samples"] == 4
    assert made.details["scores"] == {
        "match": {"accuracy": 1.0, "stderr": 0.0, "n": 4, "unscored": 0},
        "length": {"mean": 5.0, "stderr": 0.0, "n": 4, "unscored": 0},
    }
    assert (here / "work" / made.details["log"]).exists()
    lines = (here / "work/scores.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {
        "id": 1,
        "epoch": 1,
        "scores": {"length": 5.0, "match": "C"},
    }
    assert told[0] == Progress(0, 4, "samples")  # before the first one has ended
    assert told[-1] == Progress(4, 4, "samples")


def test_what_is_asked_reaches_inspect(here: Path) -> None:
    assert run("good", limit=2).details["samples"] == 2
    assert run("good", epochs=3).details["samples"] == 12
    assert run("good", args={"n": 1}).details["samples"] == 1


def test_the_same_scores_have_the_same_output(here: Path) -> None:
    assert run("good").output == run("good").output
    assert run("good").output != run("good", limit=2).output


def test_the_model_that_is_given_answers(here: Path) -> None:
    answers = {"answers": ["say 1"], "seed": 0}
    (here / "model").mkdir()
    (here / "model/answers.json").write_text(json.dumps(answers))
    made = run("good", given=Given("dummy:x", "model", {}))
    assert made.details["scores"]["match"]["accuracy"] == 0.25


def test_a_judge_is_the_model_of_its_role(here: Path) -> None:
    """The model itself, which answers otherwise, is not asked for a verdict."""
    (here / "model").mkdir()
    (here / "model/answers.json").write_text('{"answers": ["so"], "seed": 0}')
    given = Given("dummy:x", "model", {})
    made = run("judging", given=given, roles={"grader": "dummy/echo"})
    assert made.details["scores"]["judged"]["mean"] == 1.0
    assert len(made.details["usage"]) == 2


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("broken", "sample 3 (epoch 1) failed: "),
        ("tolerant", "sample 3 (epoch 1) failed: "),  # Inspect says success over 3
        ("empty", "no samples"),
        ("unscored", "the task has no scorer"),
        ("unsupported", "echo does not support top_p"),
        ("gone", "gone"),
        ("wrong", "the task's own mistake"),
    ],
)
def test_a_hole_is_a_failure(here: Path, task: str, said: str) -> None:
    with pytest.raises(EvalFailed) as caught:
        run(task)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("file", "No such file or directory: 'q/gone.txt'"),
        ("lines", "it lacks it. Install with: pip install x[y]; to look"),
        ("markup", "ERROR: Install with: pip z; to look"),
    ],
)
def test_an_error_keeps_what_helps(here: Path, error: str, said: str) -> None:
    with pytest.raises(EvalFailed) as caught:
        run("raises", args={"error": error})
    assert said in str(caught.value)


def test_so_does_that_of_a_task_that_cannot_be_made(here: Path) -> None:
    with pytest.raises(
        EvalFailed, match=r"PrerequisiteError: ERROR: Install.*: pip z$"
    ):
        run("lacking")


def test_the_log_of_a_failure_is_kept_and_named(here: Path) -> None:
    with pytest.raises(EvalFailed, match="inspect view --log-dir work"):
        run("broken")
    assert list((here / "work").glob("*.eval"))


def test_a_score_that_is_not_a_number_is_counted_as_unscored(here: Path) -> None:
    made = run("nan")
    assert made.details["samples"] == 4
    score = made.details["scores"]["unsure"]
    assert (score["n"], score["unscored"]) == (3, 1)
