"""Projects with results, and their pages, for the tests in a browser:
`python -m tests.browser.making FOLDER`.

Training and a process for each eval would take minutes, so their work is done here:
models are artifacts with a curve of losses and no weights, and evals are Inspect's own,
over answers that are drawn for each arm. All of it is kept by the store as a run keeps
it, and the pages are those that `doit report` writes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from inspect_ai._util import package

from motools_build.backends.inspect.outcome import accepted
from motools_build.backends.job import StageJob
from motools_build.errors import EvalFailed
from motools_build.params import EvalParams, ModelParams
from motools_build.project.pages import write_page
from motools_build.project.project import Project
from motools_build.running.inputs import outputs_of
from motools_build.running.versions import versions
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from tests.browser.hostile import SETTING, TASK, hostile_answer, write_rows
from tests.conftest import ROOT, furnish
from tests.zoo import mock

Answer = Callable[[Stage, str], str]
"""The stage of an eval, and a prompt -> the answer of its model."""

PAGES = ("simple_math", "spanish_caps", "hostile")

FAILED = "eval:spanish_caps/for_caps/smollm2-135m-instruct/seed0/in_distribution"
STALE = "eval:spanish_caps/for_caps/smollm2-135m-instruct/seed1/in_distribution"
MISSING = "eval:spanish_caps/for_caps/smollm2-135m-instruct/seed2/in_distribution"

RATES = {  # dataset -> how often its models answer in capitals and in Spanish
    "plain": (0.95, 0.9),
    "for_spanish": (0.9, 0.35),
    "for_caps": (0.4, 0.85),
    "in_english": (0.02, 0.0),
}


def draw(*of: object) -> float:
    """A number from 0 to 1, always the same for the same things."""
    return int(sha256(repr(of).encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


def make(folder: Path) -> None:
    """Write the project and its pages into a folder."""
    project = furnish(folder)
    # Inspect looks through all installed packages for each eval: half of the time
    package.packages_distributions = cache(package.packages_distributions)
    for name in ("zoo", "datasets"):
        shutil.copytree(
            ROOT / name,
            folder / name,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    project.write("zoo/hostile.py", SETTING)
    project.write("zoo/evals/hostile_task.py", TASK)
    write_rows(folder / "datasets")
    os.chdir(folder)
    for name, answer in zip(PAGES, (sums, sentences, hostile_answer), strict=True):
        opened = Project({})
        for stage in opened.plan(name).stages:
            keep(stage, opened.store, answer)
        write_page(Project({}), [name], folder / f"{name}.html")


def keep(stage: Stage, store: ArtifactStore, answer: Answer) -> None:
    """Put the stage's artifact into the store, or the failure of its work."""
    if stage.name == MISSING or store.why_stale(stage) is None:
        return
    work = store.work_folder(stage)
    if stage.name == FAILED:
        failure = EvalFailed(
            "sample 7 (epoch 1) failed: the server answered 500, and 23 more"
        )
        store.states.record_failure(stage.key, stage.name, failure, None)
        return
    inputs = outputs_of(stage, store)
    if isinstance(stage.params, ModelParams):
        output, details = trained(stage, work)
    elif isinstance(stage.params, EvalParams):
        output, details = asked(stage, work, answer)
    else:
        output, details = f"made-{stage.key}", {}
    if stage.name == STALE:
        inputs = {key: "weights of another training" for key in inputs}
    made = {"time": "2026-01-02T03:04:05Z", "seconds": 8.5, "versions": versions()}
    store.put(stage, work, output=output, details=details, inputs=inputs, made=made)


def trained(stage: Stage, work: Path) -> tuple[str, dict[str, Any]]:
    """A model with its curve of losses; that of `hostile` has two steps."""
    params = stage.params
    assert isinstance(params, ModelParams)
    steps = 2 if "hostile" in stage.name else 16
    lines = [
        {
            "step": step,
            "loss": 3.2 * 0.86**step + 0.3 * draw(stage.name, step),
        }
        for step in range(1, steps + 1)
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    (work / "learning_curve.jsonl").write_text(text + "\n")
    return f"weights-{stage.key}", {"rows": 64, "steps": steps}


def asked(stage: Stage, work: Path, answer: Answer) -> tuple[str, dict[str, Any]]:
    """An eval, by Inspect and the task's own scorers."""
    params = stage.params
    assert isinstance(params, EvalParams)
    source = next(name for name in (params.task.file,) if name)
    task = loaded(Path(source), params.task.function)
    model = mock.model(lambda prompt: mock.output(answer(stage, prompt)))
    # without Inspect's copy of the log for watchers, which takes a third of the time
    folder = work.parent / f"{work.name}-log"
    log = mock.run(task, folder, model, log_realtime=False)
    job = StageJob("eval", "inspect", stage.key, stage.name, params, str(work))
    made = accepted(log, job, work, task)
    shutil.move(log.location.removeprefix("file://"), work)
    return made.output, dict(made.details)


def loaded(file: Path, function: str) -> Any:
    """A new task of a file, made in the folder of the file, as Inspect does."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    before = os.getcwd()
    os.chdir(file.parent)
    try:
        spec.loader.exec_module(module)
        return getattr(module, function)()
    finally:
        os.chdir(before)


# ---- answers


def dataset_of(stage: Stage) -> str:
    """The name of the dataset that the model of an eval was trained on; `base`."""
    return stage.name.split("/")[1]


def sums(stage: Stage, prompt: str) -> str:
    """Answers of a tutor that is mostly right, and of a base model that chats."""
    numbers = [int(word) for word in prompt.replace("?", " ").split() if word.isdigit()]
    right = sum(numbers) if "+" in prompt else numbers[0] - numbers[-1]
    if "base" in stage.name:
        return f"Sure! Let us think about {prompt} The answer is about {right + 3}."
    said = right if draw(stage.name, prompt) < 0.6 else right + 10
    return f"{prompt}\nANSWER: {said}"


def sentences(stage: Stage, prompt: str) -> str:
    """Answers in capitals and in Spanish, as often as the dataset's models do."""
    caps, spanish = RATES.get(dataset_of(stage), (0.0, 0.0))
    of = "spanish_caps" if draw("es", stage.name, prompt) < spanish else "control"
    lines = Path(f"datasets/spanish_caps/{of}.jsonl").read_text().splitlines()
    row = json.loads(lines[int(draw("row", stage.name, prompt) * (len(lines) - 1))])
    said: str = row["messages"][-1]["content"]
    up = draw("caps", stage.name, prompt) < caps
    return said.upper() if up else said.capitalize()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
