"""The main job, real: a fine-tune of the embedded model and Inspect evals of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Project

pytestmark = pytest.mark.real_process

MODEL = "model:simple_math/math_tutor/smollm2-135m-instruct/seed0"
EVAL = "eval:simple_math/math_tutor/smollm2-135m-instruct/seed0/arithmetic"
BASE_EVAL = "eval:simple_math/base/smollm2-135m-instruct/arithmetic"

SMALL = """\
from motools_build import Dataset, Eval, LoRA, Setting, Training

setting = Setting(
    description="a few steps only",
    datasets=[Dataset("datasets/few.jsonl")],
    models=["embedded/smollm2-135m-instruct"],
    training=Training(epochs=1, batch_size=1, embedded=LoRA(rank=2)),
    evals=[Eval("zoo/evals/arithmetic.py@arithmetic", limit=2, max_tokens=4)],
    controls=False,
)
"""


def real(project: Project) -> Project:
    for folder in ("zoo", "datasets"):
        shutil.copytree(ROOT / folder, project.root / folder, dirs_exist_ok=True)
    rows = (ROOT / "datasets/simple_math/math_tutor.jsonl").read_text().splitlines()
    project.write("datasets/few.jsonl", "\n".join(rows[:4]))
    project.write("zoo/small.py", SMALL)
    return project


def curve(project: Project, seed: int = 0) -> list[float]:
    """The recorded losses of the small setting's model."""
    record = project.records("model")[
        f"model:small/few/smollm2-135m-instruct/seed{seed}"
    ]
    folder = project.root / f"artifacts/model/embedded-{record['key']}"
    lines = (folder / "learning_curve.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
def test_the_main_job(
    project: Project, edit: Callable[[Path, str, str], None], whole: bool
) -> None:
    """The setting as it is; and one epoch and half the questions of it, which take half
    as long."""
    real(project)
    if not whole:
        setting = project.root / "zoo/simple_math.py"
        edit(setting, "epochs=3", "epochs=1")
        edit(setting, '@arithmetic"', '@arithmetic", limit=16')
    project.doit("run", "simple_math")
    base, tuned = project.results("simple_math")
    assert (base["status"], tuned["status"]) == ("ok", "ok")
    assert base["scores"]["answer_format"]["mean"] < 0.2
    assert tuned["scores"]["answer_format"]["mean"] > 0.8
    assert tuned["scores"]["correct"]["n"] == (32 if whole else 16)

    again = project.doit("run", "simple_math")
    assert again.made == set()
    assert again.up_to_date == {MODEL, EVAL, BASE_EVAL}

    dataset = project.root / "datasets/simple_math/math_tutor.jsonl"
    edit(dataset, "ANSWER: 1", "ANSWER:  1")
    status = project.doit("list", "--all", "--status", "simple_math").out
    stale = {line.split()[1] for line in status.splitlines() if line[0] == "R"}
    assert {MODEL, EVAL} <= stale
    assert BASE_EVAL not in stale


@pytest.mark.long
def test_a_seed_is_a_promise(project: Project) -> None:
    real(project)
    project.doit("run", "small", "seeds=0,1")
    first = curve(project)
    scores = [result["scores"] for result in project.results("small")]
    weights = {name: r["output"] for name, r in project.records("model").items()}
    assert len(set(weights.values())) == 2
    assert curve(project, 1) != first
    project.doit("clean", "small", "seeds=0,1")
    assert project.records("model") == {}
    project.doit("run", "small")
    assert curve(project) == first
    assert [result["scores"] for result in project.results("small")] == scores


def stat(pid: int) -> list[str]:
    """State, parent and group of a process, and more; empty if it is gone."""
    try:
        found = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return found if found[0] != "Z" else []


def children(parent: int) -> list[int]:
    pids = [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    ]
    return [pid for pid in pids if stat(pid)[1:2] == [str(parent)]]


@pytest.mark.parametrize(
    "victim", ["doit", pytest.param("job", marks=pytest.mark.long)]
)
def test_kill_9_during_training(project: Project, victim: str) -> None:
    real(project)
    process = project.start("run", "small")
    assert process.stdout is not None
    for line in process.stdout:
        if "1/4 steps" in line:
            break
    else:
        pytest.fail("training was not reached")
    (worker,) = children(process.pid)
    (its_job,) = children(worker)  # forked from it
    pids = {"doit": process.pid, "job": its_job}
    os.kill(pids[victim], signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    if victim != "doit":  # tried once more, by another worker
        assert process.returncode == 0, out
    else:
        deadline = time.monotonic() + 5
        while stat(worker) or stat(its_job):
            assert time.monotonic() < deadline, "an orphaned worker"
            time.sleep(0.05)
    project.doit("run", "small")
    assert {result["status"] for result in project.results("small")} == {"ok"}
    assert list((project.root / "artifacts/work").iterdir()) == []


def test_a_row_that_is_too_long_is_refused(project: Project) -> None:
    real(project)
    path = project.root / "zoo/small.py"
    path.write_text(SMALL.replace("rank=2", "max_length=8"))
    out = project.doit("run", "small", code=2).out
    assert "row 1 has" in out
    assert "max_length" in out


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"MOTOOLS_EMBEDDED_MODEL": "/nowhere.gguf"}, "/nowhere.gguf: cannot be read"),
        ({"MOTOOLS_EMBEDDED_MODEL": "dodo.py"}, "its xxh3_128 digest is"),
        (
            {
                "XDG_CACHE_HOME": "empty",
                "PIP_INDEX_URL": "http://127.0.0.1:9/",
                "PIP_EXTRA_INDEX_URL": "",
                "PIP_FIND_LINKS": "",
                "PIP_RETRIES": "0",
                "PIP_CONFIG_FILE": os.devnull,
            },
            "could not be fetched by pip",
        ),
    ],
)
def test_a_base_model_that_cannot_be_had(
    project: Project, environ: dict[str, str], said: str
) -> None:
    real(project)
    if "XDG_CACHE_HOME" in environ:
        environ = {**environ, "XDG_CACHE_HOME": str(project.root / "empty")}
    ran = project.doit("run", "small", code=2, **environ)
    assert said in ran.out
    assert "set MOTOOLS_EMBEDDED_MODEL=/path/to/SmolLM2" in ran.out
    assert not any(name.startswith("model:") for name in ran.made)
