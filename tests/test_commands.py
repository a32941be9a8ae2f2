"""Models that a command of the project's own trains. Without torch: the command writes
the weights itself."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.command import outcome
from motools_build.backends.command.facts import Command
from motools_build.backends.local import devices
from motools_build.errors import StageFailed
from motools_build.params import Trainer
from motools_build.specs import Training
from motools_build.specs.grid import labels
from tests.conftest import Project
from tests.local.test_facts import TASK, a_model

SCRIPT = """\
import json, sys, time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from scripts import helper

dataset, output, seed, *more = sys.argv[1:]
print("trains on", len(open(dataset).readlines()), "rows", *more)
output = Path(output)
save_file(
    {"a": np.full(2, helper.SCALE * float(seed), np.float32)},
    output / "adapter_model.safetensors",
)
(output / "adapter_config.json").write_text(
    json.dumps({"peft_type": "LORA", "base_model_name_or_path": "/elsewhere"})
)
(output / "checkpoint-5").mkdir()
(output / "checkpoint-5" / "optimizer.pt").write_text("large")
"""

ARGUMENTS = "dataset, output, seed, *more = sys.argv[1:]"

SETTING = """\
from motools_build import Command, Dataset, Eval, Setting, Training

setting = Setting(
    description="models of a command",
    datasets=[Dataset("datasets/rows.jsonl")],
    models=["command/own"],
    seeds=[0, 1],
    evals=[Eval("zoo/evals/asks.py@asks")],
    training={training},
)
"""

RUN = "python -m scripts.train {dataset} {output} {seed}"


def declare(project: Project, run: str = RUN, **fields: Any) -> None:
    """Write the command `own` into pyproject.toml."""
    given = {"base": "local/./models/one", **fields}
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
    file = project.root / "pyproject.toml"
    before = file.read_text().partition("\n[tool.motools_build.commands.own]")[0]
    table = "\n".join(
        ["[tool.motools_build.commands.own]", f"run = {json.dumps(run)}", *lines]
    )
    file.write_text(f"{before}\n{table}\n")


def trainings(project: Project, training: str) -> None:
    project.write("zoo/ours.py", SETTING.format(training=training))


@pytest.fixture
def ours(project: Project) -> Project:
    project.dataset("rows")
    project.write("zoo/evals/asks.py", TASK)
    project.write("scripts/__init__.py", "")
    project.write("scripts/helper.py", "SCALE = 1.0\n")
    project.write("scripts/train.py", SCRIPT)
    trainings(project, "Training()")
    a_model(project.root / "models" / "one")
    declare(project)
    return project


def keys(project: Project) -> dict[str, str]:
    """Stage name -> key."""
    told = json.loads(project.doit("plan", "ours", "--json").out)
    return {line["stage"]: line["key"] for line in told}


def models(project: Project, code: int = 0) -> str:
    ran = project.doit("run", "model:*", code=code)
    return ran.out + ran.err


def log(project: Project, record: dict[str, Any]) -> str:
    return (project.root / "artifacts" / "logs" / f"{record['key']}.log").read_text()


def test_a_model_is_what_the_command_wrote(ours: Project):
    models(ours)
    records = ours.records("model")
    assert len(records) == 2
    record = records["model:ours/rows/own/seed1"]
    assert record["details"]["rows"] == 3
    said = "python -m scripts.train {dataset} {output} 1"
    assert record["details"]["command"] == said
    assert str(ours.root) not in json.dumps(record)
    (folder,) = (ours.root / "artifacts" / "model").glob(f"*{record['key']}")
    files = {path.name for path in folder.iterdir()} - {"record.json"}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}
    config = json.loads((folder / "adapter_config.json").read_bytes())
    assert config["base_model_name_or_path"] == "local/./models/one"
    assert len({r["output"] for r in records.values()}) == 2
    assert "trains on 3 rows" in log(ours, record)
    assert not ours.doit("run", "model:*").made


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("scripts/train.py", SCRIPT + "# more\n"),
        *(
            pytest.param(*more, marks=pytest.mark.long)
            for more in (
                ("scripts/helper.py", "SCALE = 2.0\n"),
                ("conf/a.yaml", "b: 2\n"),
                ("models/one/model.safetensors", "others"),
            )
        ),
    ],
)
def test_what_the_command_consists_of_is_in_the_keys(
    ours: Project, file: str, text: str
):
    ours.write("conf/a.yaml", "b: 1\n")
    declare(ours, files=["conf/*.yaml"])
    before = keys(ours)
    kept = (ours.root / file).read_bytes()
    (ours.root / file).write_text(text)
    after = keys(ours)
    changed = {name for name in before if before[name] != after[name]}
    assert {name for name in before if name.startswith("model:")} <= changed
    assert ("base:ours/own" in changed) == file.startswith("models")
    (ours.root / file).write_bytes(kept)
    assert keys(ours) == before


def test_words_for_a_shell_may_be_in_the_arguments_of_one(ours: Project):
    declare(ours, "env A=1 bash -c 'cd $HOME && a; b > ~/c' {dataset} {output} {seed}")
    assert len(keys(ours)) == 6
    declare(ours, RUN + " 'costs 5$' --lr=1e-5;1e-4")
    assert len(keys(ours)) == 6


def test_the_line_is_in_the_keys_and_the_number_of_gpus_is_not(ours: Project):
    before = keys(ours)
    declare(ours, gpus=2)
    assert keys(ours) == before
    declare(ours, RUN + " --fast")
    after = keys(ours)
    assert after.keys() == before.keys()
    assert before["base:ours/own"] == after["base:ours/own"]
    models = [name for name in before if name.startswith("model:")]
    assert all(before[name] != after[name] for name in models)


def test_a_bare_model_is_that_of_local(ours: Project):
    """An eval of the model before training is the same for both: it is asked once."""
    text = """\
from motools_build import Eval, Setting

setting = Setting(
    description="a model before training",
    models=[MODEL],
    train=False,
    evals=[Eval("zoo/evals/asks.py@asks")],
)
"""
    found = []
    for model in ("command/own", "local/./models/one"):
        ours.write("zoo/ours.py", text.replace("MODEL", repr(model)))
        found.append(set(keys(ours).values()))
    assert found[0] == found[1]


def test_options_take_the_place_of_their_names(ours: Project):
    declare(ours, RUN + " --rate={rate} --name '{name} of {method}' {packed} {epochs}")
    trainings(
        ours, "Training(epochs=2, command=Command(rate=1e-4, name='a b', packed=True))"
    )
    models(ours)
    record = ours.records("model")["model:ours/rows/own/seed0"]
    assert record["details"]["command"].endswith(
        " 0 --rate=0.0001 --name a b of sft true 2"
    )
    assert "rows --rate=0.0001 --name a b of sft true 2" in log(ours, record)


def test_a_grid_of_options_has_labels():
    grid = Training.grid(command=Command.grid(rank=[4, 8]))
    assert [*labels(grid).values()] == ["rank4", "rank8"]
    mixed = (Training(command=Command(rank=4)), Training(command=Command(rate=0.1)))
    assert [*labels(mixed).values()] == ["rank4", "rate0.1"]


@pytest.mark.parametrize(
    ("run", "training", "told"),
    [
        (RUN + " {rate}", "Training()", "asks for {rate}; give it: Training(command="),
        (RUN, "Training(command=Command(rate=1))", "training.command.rate: the command "
         "own does not use it"),
        (RUN, "Training(epochs=5)", "training.epochs: the command own does not use it"),
        (RUN, "Training(batch_size=2)", "training.batch_size: the command own does"),
        (RUN + " {validation}", "Training()", "asks for {validation}; give it"),
        (RUN, "Training(command=Command(validation='datasets/rows.jsonl'))",
         "training.command.validation: the command own does not use it"),
        (RUN, "Training(command=Command(seed=1))", "seed: it is filled in for each"),
        (RUN, "Training(command={'a': {}})", "a text, a number or a truth value"),
        ("python x {dataset} {seed}", "Training()", "run has no {output}, so that"),
        ("python x {dataset} {output}", "Training()", "all seeds would give the same"),
        (RUN + " {a.b}", "Training()", "is no name of a value; write a literal brace"),
        (RUN + " {", "Training()", "write a literal brace twice"),
        (RUN + " '", "Training()", "No closing quotation"),
        ("cd a && " + RUN, "Training()", "no shell reads it, so that '&&' would be an"),
        (RUN + " > log", "Training()", "so that '>' would be an argument; write the"),
        (RUN + " ~/a.yaml", "Training()", "so that '~/a.yaml' would be an argument"),
        (RUN + " --a=$HOME/a", "Training()", "so that '--a=$HOME/a' would be an"),
        ("A=1 " + RUN, "Training()", "'A=1' sets no variable; begin it with env: env"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_while_planning(
    ours: Project, run: str, training: str, told: str
):
    declare(ours, run)
    trainings(ours, training)
    ran = ours.doit("plan", "ours", code=None)
    assert ran.code != 0
    assert told in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"base": "./models/one"}, "base is the model that the command begins with"),
        ({"files": "a"}, "files is a list of paths or patterns, not 'a'"),
        ({"files": ["none/*"]}, "command own: files: there is no file in none/*"),
        ({"files": ["none.yaml"]}, "command own: none.yaml cannot be read"),
        ({"gpus": -1}, "gpus is a number of GPUs, 0 or more"),
        ({"gpu": 1}, "there is no 'gpu'; did you mean 'gpus'?"),
    ],
)
def test_a_wrong_declaration_is_told(ours: Project, fields: dict[str, Any], told: str):
    declare(ours, **fields)
    ran = ours.doit("plan", "ours", code=None)
    assert ran.code != 0
    assert told in ran.out + ran.err


def test_an_unknown_command_is_told(ours: Project):
    trainings(ours, "Training()")
    text = (ours.root / "zoo/ours.py").read_text().replace("command/own", "command/on")
    ours.write("zoo/ours.py", text)
    ran = ours.doit("plan", "ours", code=None)
    assert "declares no command 'on'; did you mean 'own'?" in ran.out + ran.err


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("sys.exit('no memory left')", "ended with exit code 1: no memory left"),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("pass", "holds no model: neither adapter_config.json nor config.json; it is"),
        ("(out / 'a.bin').touch()", "nor config.json, only a.bin; let it write"),
        ("(out / 'adapter_config.json').write_text('{}')", "cannot be read: KeyError"),
        ("(out / 'config.json').write_text('{}')", "without its tokenizer; let it"),
        (
            "[(out / f).write_text('{}') for f in ('config.json', 'tokenizer.json')]",
            "model.safetensors",
        ),
        (
            "(out / 'adapter_config.json').write_text('{\"peft_type\": \"LORA\"}')\n"
            "import safetensors.numpy as files\n"
            "files.save_file({}, out / 'adapter_model.safetensors')",
            "cannot be read: ValueError: adapter_model.safetensors holds no weights",
        ),
    ],
)
def test_a_command_that_made_no_model_fails_with_the_reason(
    ours: Project, body: str, told: str
):
    script = f"import os, sys, pathlib\nout = pathlib.Path(sys.argv[2])\n{body}\n"
    ours.write("scripts/train.py", script)
    assert told in models(ours, code=1)
    assert not ours.records("model")
    ours.write("scripts/train.py", SCRIPT)
    models(ours)
    assert len(ours.records("model")) == 2


def test_a_program_that_is_not_there_is_told(ours: Project):
    declare(ours, "no-such-trainer {dataset} {output} {seed}")
    assert "runs 'no-such-trainer', which is not installed" in models(ours, code=1)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path):
    import numpy as np
    from safetensors.numpy import save_file

    trainer = Trainer("own", "", "local/./x")
    for dtype in (np.float32, np.float16):
        for bad in (np.nan, np.inf):
            output = tmp_path / f"{np.dtype(dtype)}-{bad}"
            output.mkdir()
            (output / "config.json").write_text("{}")
            (output / "tokenizer.json").write_text("{}")
            good = np.array([0.0, -1e4, 6e4], dtype)
            save_file({"a": good}, output / "model.safetensors")
            (tmp_path / output.name / "work").mkdir()
            file = output / "model.safetensors"
            outcome._check("own", output)
            save_file({"a": good, "b": np.array([1, bad], dtype)}, file)
            with pytest.raises(StageFailed, match=r"not finite \(model.*: b\)"):
                outcome.taken(trainer, output, tmp_path)
            file.write_bytes(file.read_bytes()[:-1])
            with pytest.raises(StageFailed, match="cannot be read: ValueError: model"):
                outcome.taken(trainer, output, tmp_path)


SLOW = """\
import os, pathlib, sys, time
dataset, output, seed, resume = sys.argv[1:]
for step in range(1, 100):
    print(f"\\rtrain: {step}/99 loss: {1 / step:.3f}", end="", flush=True)
    with open(pathlib.Path(resume) / "steps", "a") as file:
        file.write(f"{os.getpid()}\\n")
    if pathlib.Path("go").exists():
        break
    time.sleep(0.1)
print()
"""


@pytest.mark.real_process
def test_a_killed_run_leaves_no_command_and_the_next_one_goes_on(ours: Project):
    declare(ours, RUN + " {resume}")
    trainings(ours, "Training()")
    text = (ours.root / "zoo/ours.py").read_text().replace("[0, 1]", "[0]")
    ours.write("zoo/ours.py", text)
    ours.write("scripts/train.py", SLOW + SCRIPT.replace(ARGUMENTS, "more = []"))
    process = ours.start("run", "model:*")
    pids = _steps(ours, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 30
    while _runs(pids[0]):
        assert time.monotonic() < deadline, "the command outlived its run"
        time.sleep(0.05)
    (ours.root / "go").touch()
    ran = ours.doit("run", "model:*")
    assert len(set(_lines(ours))) == 0  # what was kept for going on is removed
    assert len(ours.records("model")) == 1
    assert "train: 1/99 loss: 1.000" in ran.out


def _steps(project: Project, process: Any) -> list[int]:
    """The process IDs that the command wrote, once it has done some steps."""
    while len(found := _lines(project)) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return found


def _lines(project: Project) -> list[int]:
    found = list((project.root / "artifacts").rglob("resume/kept/steps"))
    return [int(line) for line in found[0].read_text().split()] if found else []


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_gpus_are_taken_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for card in "0123":
        (tmp_path / "nvidia" / card).mkdir(parents=True)
    monkeypatch.setattr(devices, "NVIDIA", tmp_path / "nvidia")
    monkeypatch.setattr(devices, "_held", [])
    monkeypatch.setattr(devices, "POLL", 0.01)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3,7")
    assert devices.reserve(0) == []
    assert devices.reserve(2) == ["5", "3"]

    class Waits(Exception):
        pass

    def waits() -> None:
        raise Waits

    with pytest.raises(Waits):
        devices.reserve(2, waits)
    assert devices.reserve(1, waits) == ["7"]  # the two above left it free
    with pytest.raises(StageFailed, match="4 GPUs are needed, and 3 are here"):
        devices.reserve(4)
    for _, lock in devices._held:
        os.close(lock)
