"""`doit clean` and `doit gc` beside a run that is under way.

The run's eval tells the test when it has begun, over a connection, and goes on when the
test answers.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Project

MODEL = "model:tiny/tiny/echo/seed0"
UPLOAD = "upload:tiny/tiny/dummy"
EVAL = f"eval:{MODEL.removeprefix('model:')}/waits"

TASK = """
import os, socket
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, solver

@solver
def waits():
    async def solve(state, generate):
        with socket.create_connection(("127.0.0.1", int(os.environ["GATE"]))) as gate:
            gate.recv(1)
        return await generate(state)
    return solve

@task
def waits_for_the_test():
    samples = [Sample(input="What is 1 + 1?", target="ANSWER")]
    return Task(dataset=samples, solver=[waits(), generate()], scorer=includes())
"""


@dataclass
class Held:
    """A run whose eval has begun and does not go on."""

    project: Project
    process: subprocess.Popen[str]
    gate: socket.socket

    def release(self) -> None:
        """Let the eval go on, and the run end."""
        self.gate.sendall(b".")
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, out + err


@pytest.fixture
def held(project: Project) -> Iterator[Held]:
    project.dataset("tiny")
    project.write("zoo/evals/gate.py", TASK)
    waits = 'Eval("zoo/evals/gate.py@waits_for_the_test", name="waits")'
    project.setting("tiny", evals=f"[{waits}]", controls="False")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(120)
        port = listener.getsockname()[1]
        process = project.start("run", "tiny", GATE=str(port))
        try:
            gate, _ = listener.accept()
            with gate:
                yield Held(project, process, gate)
        finally:
            process.kill()
            process.communicate()


def in_work(project: Project) -> list[Path]:
    return list((project.root / "artifacts/work").iterdir())


def test_clean_keeps_what_a_run_makes_and_uses(held: Held) -> None:
    project = held.project
    before = project.tree()
    assert before  # the model is made, and its eval is not
    said = project.doit("clean", "tiny").out
    assert f"kept {MODEL}: a run is using it" in said
    assert f"kept {UPLOAD}: a run is using it" in said
    assert f"kept {EVAL}: a run is making it" in said
    assert "removed" not in said
    assert project.tree() == before
    assert len(in_work(project)) == 1
    held.release()
    assert {result["status"] for result in project.results("tiny")} == {"ok"}
    # and nothing is kept once the run has ended
    assert f"removed {EVAL}" in project.doit("clean", "tiny").out
    assert project.tree() == {}
    assert in_work(project) == []


def test_gc_keeps_what_a_run_makes_and_uses(held: Held) -> None:
    project = held.project
    (project.root / "zoo/tiny.py").unlink()
    project.setting(
        "tiny", seeds="[1]", controls="False"
    )  # no plan has the run's model
    before = project.tree()
    project.doit("gc", "--keep=0", "--yes")
    assert project.tree() == before
    assert len(in_work(project)) == 1
    held.release()
    made = project.records("eval")
    assert list(made) == [EVAL]
    assert in_work(project) == []
    project.doit("gc", "--keep=0", "--yes")
    assert project.records("eval") == project.records("model") == {}
