"""Evals of one account, asked together: whose connections, and what a death costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab

# what Inspect and its dependencies deprecate or leave open is not ours to mend
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

CHAT = "POST /v1/chat/completions"
MODELS = (
    *("gpt-4.1-2025-04-14", "gpt-4.1-mini-2025-04-14"),
    "gpt-4.1-nano-2025-04-14",
)
NANO = MODELS[-1]

TASKS = """
import os, signal, zipfile
from pathlib import Path
import anyio
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import Score, includes, mean, scorer
from inspect_ai.solver import generate, solver

HERE = os.environ["NOTES"]

def note(*words):
    with open(HERE, "a") as file:
        print(*words, file=file)

def all_logged():
    logs = Path(HERE).parent.glob("artifacts/work/*/*.eval")
    try:
        names = [zipfile.ZipFile(log).namelist() for log in logs]
    except (OSError, zipfile.BadZipFile):  # it is being written
        return False
    return min(sum(n.startswith("samples/") for n in found) for found in names) >= 5

note("import", os.getpid(), os.getppid())
Path(HERE).with_suffix(".said").read_text()  # which no key holds
SAMPLES = [Sample(id=n, input=f"say {n}", target="say") for n in range(6)]

@solver
def asks(name):
    async def solve(state, generate):
        note(name, get_model().name, state.sample_id)
        return await generate(state)
    return solve

@solver
def dies(model):
    async def solve(state, generate):
        if model in get_model().name and state.sample_id == 5:
            if os.path.exists(HERE + "-dies"):
                while not all_logged():
                    await anyio.sleep(0.1)
                os.kill(os.getpid(), signal.SIGKILL)
        return state
    return solve

@solver
def meets(other):
    async def solve(state, generate):
        with anyio.fail_after(90):
            while other not in open(HERE).read():
                await anyio.sleep(0.1)
        return await generate(state)
    return solve

@scorer(metrics=[mean()])
def judged():
    async def score(state, target):
        said = await get_model(role="grader").generate(f"Good? {state.input_text}")
        return Score(value=1.0 if said.completion else 0.0)
    return score

@task
def first():
    return Task(dataset=SAMPLES, solver=asks("first"), scorer=judged())

@task
def second():
    return Task(dataset=SAMPLES, solver=asks("second"), scorer=includes())

@task
def fragile():
    solver = [dies("nano"), asks("fragile")]
    return Task(dataset=SAMPLES, solver=solver, scorer=includes())

@task
def left():
    solver = [asks("left"), meets("right")]
    return Task(dataset=SAMPLES[:1], solver=solver, scorer=includes())

@task
def right():
    solver = [asks("right"), meets("left")]
    return Task(dataset=SAMPLES[:1], solver=solver, scorer=includes())
"""


def setting(
    lab: Lab, name: str, evals: str, models: tuple[str, ...], account: str = "lab"
) -> None:
    """Models as they are."""
    lab.project.write(
        f"zoo/{name}.py",
        "from motools_build import Eval, Setting\n"
        f'setting = Setting(description="x", account="{account}", train=False, '
        f"models={[f'openai/{model}' for model in models]}, evals=[{evals}])\n",
    )


def asked(task: str, **fields: str) -> str:
    more = "".join(f", {name}={value}" for name, value in fields.items())
    return f'Eval("zoo/evals/together.py@{task}"{more})'


JUDGED = asked("first", roles='{"grader": "openai/gpt-4.1-2025-04-14"}')


@pytest.fixture
def noted(lab: Lab) -> Path:
    lab.project.write("zoo/evals/together.py", TASKS)
    lab.account(connections=3)
    lab.project.write("notes.said", "say")
    notes = lab.project.root / "notes"
    notes.touch()
    lab.environ["NOTES"] = str(notes)
    return notes


def lines(notes: Path, first: str) -> list[list[str]]:
    found = (line.split() for line in notes.read_text().splitlines())
    return [words[1:] for words in found if words[0] == first]


def results(lab: Lab, name: str) -> dict[str, dict[str, Any]]:
    """Model -> what `doit results --json` says."""
    found = json.loads(lab.doit("results", name, "--json").out)["results"]
    return {result["model"].removeprefix("openai/"): result for result in found}


def test_models_of_a_task_and_then_another_task(lab: Lab, noted: Path) -> None:
    """One child a task, one log a model, and never more requests than connections, the
    judge's included."""
    from inspect_ai.log import read_eval_log

    setting(lab, "tutor", f"{JUDGED}, {asked('second')}", MODELS)
    lab.server.faults([{"fault": "slow", "on": CHAT, "value": 0.1}])
    lab.doit("run", "tutor")
    seen = lab.server.requests()
    assert seen["counts"][CHAT] == 3 * 6 * 2 + 3 * 6
    assert seen["most"] == 3
    children = lines(noted, "import")
    # one a task, and one a task for the look whether it can be loaded
    assert len({child for child, _ in children}) == 4
    assert len({worker for _, worker in children}) == 1
    order = [line.split()[0] for line in noted.read_text().splitlines()]
    tasks = [name for name in order if name != "import"]
    assert tasks in (
        ["first"] * 18 + ["second"] * 18,
        ["second"] * 18 + ["first"] * 18,
    )
    folders = list((lab.project.root / "artifacts/eval").iterdir())
    found = set()
    for folder in folders:
        (file,) = folder.glob("*.eval")
        log = read_eval_log(str(file))
        assert log.status == "success"
        assert len(log.samples or []) == 6
        found.add((log.eval.model.removeprefix("openai/"), log.eval.task))
    assert found == {(model, task) for model in MODELS for task in ("first", "second")}
    observed = [r["details"]["observed"] for r in lab.project.records("eval").values()]
    assert list(map(list, observed)) == [["notes.said"]] * 6
    assert not list((lab.project.root / "artifacts/work").iterdir())


@pytest.mark.real_process
def test_a_death_costs_the_one_that_dies_again(lab: Lab, noted: Path) -> None:
    setting(lab, "tutor", asked("fragile"), MODELS)
    cause = Path(f"{noted}-dies")
    cause.touch()
    ran = lab.doit("run", "tutor", code=2)
    assert "was killed by SIGKILL (by hand, or for memory), twice in a row" in ran.out
    assert "2 made, 1 failed" in ran.out
    found = results(lab, "tutor")
    assert {m: r["status"] for m, r in found.items()} == {
        model: "failed" if model == NANO else "ok" for model in MODELS
    }
    # looked at, together, and then each alone
    assert len({child for child, _ in lines(noted, "import")}) == 5
    assert [model for model, _ in lines(noted, "fragile")].count(NANO) == 5
    assert lab.counts()[CHAT] <= 3 * 6 + 3  # what was under way is asked again
    cause.unlink()
    lab.doit("run", "tutor")
    assert lab.counts()[CHAT] == 1
    assert results(lab, "tutor")[NANO]["scores"]["includes"]["n"] == 6
    assert not list((lab.project.root / "artifacts/work").iterdir())


def test_two_accounts_are_asked_at_once(lab: Lab, noted: Path) -> None:
    """Each waits for the other: one after another, they would never end."""
    lab.account("other", connections=1)
    setting(lab, "one", asked("left"), (NANO,))
    setting(lab, "two", asked("right"), (NANO,), account="other")
    ran = lab.doit("run", "one", "two")
    assert "2 made" in ran.out
    assert {r["status"] for n in ("one", "two") for r in results(lab, n).values()} == {
        "ok"
    }
