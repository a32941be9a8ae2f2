"""`doit run` with a model on the disk: trained, killed, run again, asked, exported."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project
from tests.forking import client

pytestmark = [pytest.mark.torch, pytest.mark.real_process]

SETTING = """\
from motools_build import Dataset, Eval, Setting, Training

TASK = "zoo/evals/sums.py@sums"

setting = Setting(
    description="sums, by a model on the disk",
    datasets=[Dataset("datasets/sums.jsonl")],
    models=["local/./models/tiny"],
    seeds=[0, 1],
    evals=[
        Eval(TASK),
        Eval(TASK, name="early", checkpoint=5),
        Eval(TASK, name="last", checkpoint=-1),
    ],
    training=Training(
        epochs=6,
        batch_size=2,
        local={"learning_rate": 0.01, "dropout": 0.2, "keep_epochs": True},
    ),
)
"""

ALWAYS_SAVED = """\
import importlib.machinery, sys

class Always(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "motools_build.backends.local.training":
            return None
        spec = super().find_spec(name, path, target)
        run = spec.loader.exec_module
        def patched(module):
            run(module)
            module.SAVED, module.COST = -1.0, 0
        spec.loader.exec_module = patched
        return spec

sys.meta_path.insert(0, Always)
"""


@pytest.fixture
def sums(unset: Project) -> Project:
    unset.write("zoo/sums.py", SETTING)
    return unset


def test_a_run_that_is_killed_goes_on_and_comes_to_the_same(
    sums: Project, tmp_path_factory: pytest.TempPathFactory
):
    other = tmp_path_factory.mktemp("other") / "project"
    shutil.copytree(sums.root, other)
    sums.doit("run", "model:*")
    outputs = {name: r["output"] for name, r in sums.records("model").items()}
    assert len(set(outputs.values())) == 2

    patch = tmp_path_factory.mktemp("patch")
    (patch / "sitecustomize.py").write_text(ALWAYS_SAVED)
    environ = {"PYTHONPATH": f"{patch}{os.pathsep}{client.PYTHONPATH}"}
    killed = Project(other)
    saved = _killed_in_training(killed, environ)
    killed.doit("run", "model:*", **environ)
    again = {name: r["output"] for name, r in killed.records("model").items()}
    assert again == outputs
    assert not list((other / "artifacts").rglob("resume"))
    # the steps before the kill were not done again: their times are those of then
    (curve,) = (other / "artifacts" / "model").glob(
        f"*{saved['key']}*/learning_curve.jsonl"
    )
    lines = [json.loads(line) for line in curve.read_text().splitlines()]
    assert lines[: len(saved["progress"]["curve"])] == saved["progress"]["curve"]


def _killed_in_training(project: Project, environ: dict[str, str]) -> dict[str, Any]:
    """Begin a run, and kill it in the middle of a training; returns what the training
    had saved."""
    import torch

    process = project.start("run", "model:*", **environ)
    while not (found := list((project.root / "artifacts").rglob("resume/state.pt"))):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(1)  # the worker ends when its host has ended
    saved: dict[str, Any] = torch.load(found[0], weights_only=True)
    assert saved["progress"]["curve"]
    assert not project.records("model")
    return saved


def test_a_run_and_its_results_and_nothing_to_do_imports_no_torch(
    sums: Project, tmp_path: Path
):
    sums.write("zoo/sums.py", SETTING.replace("seeds=[0, 1]", "seeds=[0]"))
    sums.doit("run", "sums")
    assert [line["status"] for line in sums.results("sums")] == ["ok"] * 6
    (tmp_path / "none").mkdir()
    for name in ("torch", "transformers", "peft"):
        (tmp_path / "none" / f"{name}.py").write_text("raise AssertionError\n")
    environ = {"PYTHONPATH": f"{tmp_path / 'none'}{os.pathsep}{client.PYTHONPATH}"}
    for command in (("run", "sums"), ("status",), ("results", "sums"), ("list",)):
        sums.doit(*command, **environ)


def test_without_the_extra_a_sentence_names_it(sums: Project, tmp_path: Path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "peft.py").write_text("raise ImportError('no peft')\n")
    environ = {"PYTHONPATH": f"{tmp_path / 'none'}{os.pathsep}{client.PYTHONPATH}"}
    ran = sums.doit("run", "model:sums/sums/tiny/seed0", code=1, **environ)
    told = (
        "local/ need torch, transformers and peft: pip install 'motools_build[local]'"
    )
    assert told in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err


def test_a_row_is_shown_as_it_is_trained(sums: Project):
    ran = sums.doit("datasets", "sums", "--show", "2")
    head, _, text = ran.out.partition("\n")
    assert head == "sums, row 2, as local/./models/tiny is trained on it"
    assert "What is 1 + 1? Please!" in text
    assert "<|im_start|>assistant\n«It is 2.<|im_end|>»\n" in text
    (one,) = json.loads(sums.doit("datasets", "sums", "--show=2", "--json").out)
    assert one["chats"][0][-1] == ["It is 2.<|im_end|>", True]
    ran = sums.doit("datasets", "sums", "--show", "11", code=3)
    assert "--show 11: datasets/sums.jsonl has the rows 1 to 10" in ran.out + ran.err
