"""Each eval is loaded once before anything is paid."""

from __future__ import annotations

from tests.lab import BASE, Lab

TASKS = """
from pathlib import Path
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

def asked(text):
    return Task(dataset=[Sample(input=text, target="a")], solver=generate(),
                scorer=includes())

@task
def good():
    return asked("a")

@task
def lost():
    return asked(Path("".join(["not", "-there.txt"])).read_text())
"""

MODEL = f"model:tutor/tutor/{BASE}/seed0"
LOST = f"eval:tutor/tutor/{BASE}/seed0/lost"


def test_what_cannot_be_loaded_costs_nothing(lab: Lab) -> None:
    """A plan says it; a run pays nothing for it; and pays for what can be loaded."""
    lab.project.write("zoo/evals/e.py", TASKS)
    lab.setting(seeds="[0]", controls="False", evals='[Eval("zoo/evals/e.py@lost")]')
    planned = lab.plan()
    assert {planned[MODEL]["action"], planned[LOST]["action"]} == {"blocked"}
    assert "not-there.txt" in planned[LOST]["reason"]
    assert planned[MODEL]["reason"] == f"{LOST} cannot be loaded"

    ran = lab.run(code=2)
    assert MODEL not in ran.made
    assert f"-> {MODEL}  deferred: {LOST} cannot be loaded" in ran.out
    assert "FileNotFoundError" in ran.out
    assert lab.there("jobs") == []

    (lab.project.root / "zoo/evals/not-there.txt").write_text("a")
    lab.setting(
        seeds="[0]",
        controls="False",
        evals='[Eval("zoo/evals/e.py@lost"), Eval("zoo/evals/e.py@good")]',
    )
    lab.run()
    assert len(lab.there("jobs")) == 1
    assert set(lab.statuses().values()) == {"ok"}
