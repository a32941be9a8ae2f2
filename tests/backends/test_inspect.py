"""A result counts only if nothing is missing in it; real Inspect, dummy models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.inspect.backend import InspectBackend
from motools_build.backends.inspect.loading import checked
from motools_build.backends.job import Given, Made, Progress, StageJob
from motools_build.errors import EvalFailed
from motools_build.params import EvalParams, EvalTask, Subject

# what Inspect and its dependencies deprecate or leave open is not ours to mend
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TASKS = """
import os

from inspect_ai import Epochs, Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model, GenerateConfig
from inspect_ai.scorer import Score, accuracy, match, mean, scorer, stderr
from inspect_ai.scorer import model_graded_qa
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

@scorer(metrics=[mean()])
def asking(judge):
    async def score(state, target):
        answer = await judge.generate("verdict?")
        return Score(value=float(answer.completion == "verdict?"))
    return score

@task
def early():
    judge = get_model(role="grader")
    return Task(dataset=SAMPLES, solver=generate(), scorer=asking(judge))

@task
def early_with_default():
    judge = get_model(role="grader", default="mockllm/model")
    return Task(dataset=SAMPLES, solver=generate(), scorer=asking(judge))

@task
def itself():
    return Task(dataset=SAMPLES, solver=generate(), scorer=asking(get_model()))

@task
def own_roles():
    roles = {"grader": "motools/dummy/echo", "critic": get_model()}
    return Task(dataset=SAMPLES, solver=generate(), scorer=judged(), model_roles=roles)

@task
def graded():
    return Task(dataset=SAMPLES, solver=generate(), scorer=model_graded_qa())

@task
def five():
    five = Epochs(5, "pass_at_5")
    return Task(dataset=SAMPLES, solver=generate(), scorer=match(), epochs=five)

@task(name="another_name")
def by_function():
    return Task(dataset=SAMPLES, solver=generate(), scorer=match())

def make(name):
    @task(name=name)
    def made(n: int = 1):
        return Task(dataset=SAMPLES[:n], solver=generate(), scorer=match())
    return made
make("made_up")

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


def job_of(
    task: str,
    given: Given | None = None,
    roles: dict[str, str] | None = None,
    **more: Any,
) -> StageJob:
    asked: dict[str, Any] = {
        "eval_name": task,
        "file": "tasks.py",
        "roles": roles or {},
        **more,
    }
    subject = Subject("dummy/echo", "s/base/echo", "s", "base", None)
    return StageJob(
        kind="eval",
        backend="inspect",
        key="0" * 32,
        name=f"eval:s/base/echo/{task}",
        params=EvalParams(EvalTask(task, **asked), subject),
        work="work",
        given={"model": given} if given else {},
    )


def run(
    task: str,
    told: list[Progress] | None = None,
    given: Given | None = None,
    roles: dict[str, str] | None = None,
    **asked: object,
) -> Made:
    job = job_of(task, given, roles, overrides=asked)
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


@pytest.fixture
def answers_so(here: Path) -> Given:
    """A model that says `so`, and never repeats what it is asked, as a judge does."""
    (here / "model").mkdir()
    (here / "model/answers.json").write_text('{"answers": ["so"], "seed": 0}')
    return Given("dummy:x", "model", {})


@pytest.mark.parametrize("task", ["early", "early_with_default"])
def test_a_judge_that_is_looked_up_while_loading_is_that_of_the_eval(
    answers_so: Given, task: str
) -> None:
    made = run(task, given=answers_so, roles={"grader": "dummy/echo"})
    assert made.details["scores"]["asking"]["mean"] == 1.0
    assert made.details["judges"] == {"grader": "motools/dummy/echo"}


def test_the_model_that_is_active_while_loading_is_that_of_the_eval(
    answers_so: Given,
) -> None:
    made = run("itself", given=answers_so)
    assert made.details["scores"]["asking"]["mean"] == 0.0
    assert list(made.details["usage"]) == ["motools/s/base/echo"]
    assert "scorers" not in made.details["resolved"]  # another one for each model


def test_a_task_has_roles_of_its_own(answers_so: Given) -> None:
    made = run("own_roles", given=answers_so, roles={"other": "dummy/echo"})
    assert made.details["scores"]["judged"]["mean"] == 1.0
    assert made.details["judges"] == {
        "grader": "motools/dummy/echo",
        "critic": "motools/s/base/echo",
        "other": "motools/dummy/echo",
    }


@pytest.mark.parametrize("task", ["early", "judging", "graded"])
def test_a_model_does_not_judge_itself_unasked(here: Path, task: str) -> None:
    """Found by a load alone; and by an eval, whose answers are then there already."""
    for attempt in (lambda: run(task), lambda: checked(job_of(task))):
        with pytest.raises(EvalFailed, match="no model is given for the role 'grader'"):
            attempt()


@pytest.mark.parametrize("task", ["by_function", "another_name", "made_up"])
def test_a_task_is_found_by_each_of_its_names(here: Path, task: str) -> None:
    checked(job_of(task))


@pytest.mark.parametrize(
    ("task", "more", "said"),
    [
        ("five", {"overrides": {"epochs": 2}}, "requires 5 epochs however"),
        ("good", {"overrides": {"epochs": 2, "reducer": ["best"]}}, "best"),
        ("made_up", {"overrides": {"args": {"nn": 1}}}, "no parameter 'nn'; did you"),
        ("unscored", {}, "the task has no scorer"),
        ("empty", {}, "no samples"),
        ("wrong", {}, "the task's own mistake"),
        ("gone", {}, "gone"),
    ],
)
def test_what_fails_whichever_model_shows_when_it_is_loaded(
    here: Path, task: str, more: dict[str, object], said: str
) -> None:
    with pytest.raises(EvalFailed) as caught:
        checked(job_of(task, **more))
    assert said in str(caught.value)


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


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>\n\n</think>\n\nParis.", "", "Paris."),
        ("<think>It is\nFrance.</think>Paris.", "It is\nFrance.", "Paris."),
        ("It is France.\n</think>\n\nParis.", "It is France.", "Paris."),
        ("Paris.", None, "Paris."),
        ("<think>It is", None, "<think>It is"),
    ],
)
def test_what_a_model_thinks_is_no_part_of_its_answer(
    text: str, thought: str | None, answer: str
) -> None:
    from inspect_ai.model import ChatMessageAssistant, ContentReasoning

    from motools_build.serving.models import _parts

    message = ChatMessageAssistant(content=_parts(text))
    assert message.text == answer
    found = [c.reasoning for c in message.content if isinstance(c, ContentReasoning)]
    assert found == ([] if thought is None else [thought])


def test_a_backend_that_gives_too_few_replies_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import asyncio

    from inspect_ai.model import ChatMessageUser, GenerateConfig

    from motools_build.errors import EngineError
    from motools_build.serving import models

    class Few:
        def answer(self, requests: Any) -> list[Any]:
            return []

    monkeypatch.setattr(models, "_answerer", lambda *about: Few())
    api = models.MotoolsAPI("m", kind="few")
    asked = api.generate([ChatMessageUser(content="Hi")], [], "auto", GenerateConfig())
    with pytest.raises(EngineError, match="Few gave 0 replies to 1 requests"):
        asyncio.run(asyncio.wait_for(asked, 20))


def test_a_status_that_is_none_is_an_error() -> None:
    from motools_build.backends.provider import Standing

    with pytest.raises(TypeError, match=r"one of running, succeeded, .* not 'queued'"):
        Standing("queued")  # type: ignore[arg-type]
