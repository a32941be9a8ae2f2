"""Each eval is loaded once before anything is paid."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from tests.forking import client
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

NEEDS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes

@task
def needs():
    import spoken_words
    return Task(dataset=[Sample(input="a", target="a")], scorer=includes())
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


def test_an_eval_is_loaded_again_when_a_package_is_gone(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """That it could be loaded once is no proof after `pip uninstall`."""
    packages = tmp_path_factory.mktemp("packages")
    (packages / "spoken_words.py").write_text("")
    metadata = packages / "spoken_words-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: spoken_words\nVersion: 1.0\n")
    there = {"PYTHONPATH": f"{client.PYTHONPATH}{os.pathsep}{packages}"}
    lab.project.write("zoo/evals/e.py", NEEDS)
    lab.setting(seeds="[0]", controls="False", evals='[Eval("zoo/evals/e.py@needs")]')

    def actions(**environ: str) -> set[str]:
        told = json.loads(lab.doit("plan", "tutor", "--json", **environ).out)
        return {line["action"] for line in told}

    assert actions(**there) == {"run"}
    shutil.rmtree(metadata)
    (packages / "spoken_words.py").unlink()
    assert actions(**there) == {"blocked"}
    lab.run(code=2, **there)
    assert lab.there("jobs") == []


def test_held_out_rows_that_are_refused_cost_nothing(lab: Lab) -> None:
    lab.setting(
        seeds="[0]",
        training='Training(openai=OpenAI(validation="datasets/held.jsonl"))',
    )
    lab.project.write("datasets/held.jsonl", '{"messages": []}\n')
    told = lab.plan()
    assert {line["action"] for line in told.values()} == {"blocked"}
    assert "datasets/held.jsonl:1: " in told[MODEL]["reason"]
    assert "datasets/held.jsonl:1: " in lab.run(code=3).err
    assert lab.there("jobs") == lab.there("files") == []
