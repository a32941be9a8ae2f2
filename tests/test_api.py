"""The Python interface: what commands print is what it returns, in a notebook too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

import motools_build
from motools_build.api import OpenProject
from motools_build.errors import (
    ArtifactError,
    InputError,
    RunFailed,
    SelectionError,
    SettingError,
    VariableError,
)
from motools_build.specs import Setting
from tests.conftest import ROOT, Project, furnish
from tests.lab import KEY, Lab
from tests.lab import MODEL as MODEL_AT

MODEL = "model:tiny/tiny/echo/seed0"
EVAL = "eval:tiny/tiny/echo/seed0/score"

TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes

@task
def t():
    return Task(dataset=[Sample(input="say a", target="a")], scorer=includes())
"""

NOTEBOOK = """
import asyncio, json, os
import motools_build

assert asyncio.get_running_loop().is_running()
project = motools_build.open_project({root!r})
here, environ = os.getcwd(), dict(os.environ)
ran = project.run("tiny")
results, samples = project.results("tiny"), project.samples("eval:tiny/*/t")
assert (os.getcwd(), dict(os.environ)) == (here, environ)
print("#" + json.dumps([ran.made, json.loads(results.to_json(orient="records")),
                        json.loads(samples.to_json(orient="records"))]))
"""


@pytest.fixture
def opened(tiny: Project) -> Iterator[OpenProject]:
    """The project `tiny`, opened from another folder; the process is left as it was."""
    before = _process()
    yield motools_build.open_project(tiny.root)
    assert _process() == before


def _process() -> tuple[object, ...]:
    """What a call must leave as it was."""
    environ = {n: v for n, v in os.environ.items() if not n.startswith("PYTEST_")}
    return os.getcwd(), environ, [*sys.path], sys.stdout, "dodo" in sys.modules


def test_a_notebook(tiny: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs, and gets frames, where an event loop runs already."""
    tiny.write("zoo/evals/t.py", TASK)
    tiny.setting("tiny", evals='[Eval("zoo/evals/t.py@t")]')
    code = NOTEBOOK.format(root=str(tiny.root))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    file = tmp_path_factory.mktemp("notebooks") / "n.ipynb"
    nbformat.write(notebook, file)
    # in a process of its own, because Jupyter's client leaves an event loop open
    options = ("--inplace", "--timeout=240", "--kernel_name=python3", str(file))
    subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    notebook = nbformat.read(file, as_version=4)
    told = "".join(out["text"] for out in notebook.cells[0].outputs if "text" in out)
    made, results, samples = json.loads(told[told.index("#") + 1 :].splitlines()[0])
    assert "eval:tiny/tiny/echo/seed0/t  made in" in told  # the runner's own lines
    assert len(made) == 4
    printed = json.loads(tiny.doit("results", "tiny", "--json").out)["results"]
    assert [(row["key"], row["value"]) for row in results] == [
        (row["key"], metric["value"]) for row in printed for metric in row["estimates"]
    ]
    shown = json.loads(tiny.doit("samples", "eval:tiny/*/t", "--json").out)
    assert [(row["key"], row["messages"]) for row in samples] == [
        (one["key"], sample["messages"]) for one in shown for sample in one["shown"]
    ]


class TestRun:
    def test_twice_is_once(
        self, opened: OpenProject, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ran = opened.run("tiny", seeds=[0, 1])
        assert len(ran.made) == 6
        assert ran.made[-1].startswith("eval:")
        assert f".  {MODEL}  (not made yet)" in capsys.readouterr().out
        assert {*ran.results["status"]} == {"ok"}
        again = opened.run("tiny", seeds=[0, 1])
        assert (again.made, again.deferred) == ((), {})
        assert again.results.equals(ran.results)

    def test_what_the_command_made_is_up_to_date(
        self, tiny: Project, opened: OpenProject
    ) -> None:
        tiny.doit("run", "tiny")
        assert opened.run("tiny").made == ()
        name = MODEL.replace("seed0", "seed5")
        assert opened.run(name, seeds=[5]).made == (name,)
        assert tiny.doit("run", name, "seeds=5").made == set()

    def test_beside_a_run_of_the_command(
        self, tiny: Project, opened: OpenProject
    ) -> None:
        """Each stage is made by one of them, and both end well."""
        beside = tiny.start("run", "tiny", "seeds=0,1,2,3")
        ran = opened.run("tiny", seeds=range(4))
        out, err = beside.communicate(timeout=60)
        assert beside.returncode == 0, out + err
        theirs = {line.split()[0] for line in out.splitlines() if " made in " in line}
        assert not theirs & {*ran.made}
        assert len(theirs) + len(ran.made) == 10

    def test_what_failed_is_raised_when_the_rest_is_made(
        self, opened: OpenProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MOTOOLS_DUMMY_FAIL", "seed1")
        with pytest.raises(RunFailed) as raised:
            opened.run("tiny", seeds=[0, 1])
        name = "model:tiny/tiny/echo/seed1"
        assert [*raised.value.failures] == [name]
        assert f"1 task failed\n{name}: " in str(raised.value)
        assert opened.status("tiny").complete
        monkeypatch.delenv("MOTOOLS_DUMMY_FAIL")
        assert name in opened.run("tiny", seeds=[0, 1]).made

    def test_tasks_of_the_users_own(self, tiny: Project, opened: OpenProject) -> None:
        dodo = (tiny.root / "dodo.py").read_text()
        mine = "def task_mine():\n    return {{'actions': [lambda: {}]}}\n"
        tiny.write("dodo.py", f"{dodo}\n\n{mine.format(True)}")
        assert opened.run("mine").made == ()
        tiny.write("dodo.py", f"{dodo}\n\n{mine.format(False)}")  # and is seen
        with pytest.raises(RunFailed, match="mine: "):
            opened.run("mine")

    def test_a_dodo_of_another_folder_is_not_taken_for_it(
        self,
        tiny: Project,
        opened: OpenProject,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        other = ModuleType("dodo")
        other.__file__ = str(tmp_path / "elsewhere/dodo.py")
        monkeypatch.setitem(sys.modules, "dodo", other)
        assert opened.run("tiny").made
        assert sys.modules["dodo"] is other

    def test_an_interrupt(self, tiny: Project) -> None:
        """Ends the run in order, and is raised; the next run goes on."""
        code = """
            import motools_build
            project = motools_build.open_project()
            try:
                project.run("tiny", seeds=[0, 1])
            except KeyboardInterrupt:
                print("interrupted, and", len(project.run("tiny", seeds=[0, 1]).made))
            """
        tiny.dataset("tiny")
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=tiny.root,
            env={**os.environ, "PYTHONPATH": str(ROOT), "MOTOOLS_DUMMY_DELAY": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                if line.startswith(".  model:"):
                    process.send_signal(signal.SIGINT)
                    break
            out = process.stdout.read()
        assert process.wait(60) == 0
        assert "interrupted; what is made is kept" in out
        assert "interrupted, and" in out


class TestWhatCommandsPrint:
    def test_plan(self, tiny: Project, opened: OpenProject) -> None:
        told = opened.plan("tiny", seeds=[0, 1])
        printed = json.loads(tiny.doit("plan", "tiny", "--json", "seeds=0,1").out)
        assert [one.as_json() for one in told.stages] == printed

    def test_status(self, tiny: Project, opened: OpenProject) -> None:
        def printed(code: int) -> Any:
            return json.loads(tiny.doit("status", "--json", code=code).out)

        assert opened.status().as_json() == printed(1)
        opened.run("tiny")
        assert opened.status().as_json() == printed(0)

    def test_results_and_means(self, tiny: Project, opened: OpenProject) -> None:
        opened.run("tiny", seeds=[0, 1])
        printed = json.loads(tiny.doit("results", "tiny", "--json", "seeds=0,1").out)
        frame = opened.results("tiny", seeds=[0, 1])
        assert [*frame["value"]] == [
            one["value"] for row in printed["results"] for one in row["estimates"]
        ]
        means = opened.means("tiny", seeds=[0, 1])
        assert [*means["metric"]] == [mean["metric"] for mean in printed["means"]]

    def test_settings(self, tiny: Project, opened: OpenProject) -> None:
        tiny.write("zoo/broken.py", "import nothing_of_that_name\n")
        assert [*opened.settings] == ["broken", "tiny"]
        assert isinstance(opened.settings["tiny"], Setting)
        with pytest.raises(SettingError, match=r"zoo/broken.py:1: ModuleNotFoundError"):
            opened.settings["broken"]
        assert "tina" not in opened.settings
        tiny.setting("tiny", description='"another one"')  # and is seen
        assert opened.settings["tiny"].description == "another one"


class TestArtifacts:
    def test_a_model_for_ones_own_code(
        self, tiny: Project, opened: OpenProject
    ) -> None:
        with pytest.raises(ArtifactError, match=f"{MODEL}: not made yet; run it first"):
            opened.model(MODEL)
        opened.run("tiny")
        folder = opened.model("tiny")
        assert isinstance(folder, Path)
        assert folder.is_absolute()
        assert (folder / "record.json").exists()
        with pytest.raises(SelectionError, match="does not mean one model or base"):
            opened.model("tiny", seeds=[0, 1])

    def test_an_artifact_by_its_key(self, tiny: Project, opened: OpenProject) -> None:
        opened.run("tiny")
        record = tiny.records("eval")[EVAL]
        found = opened.artifact(record["key"][:8])
        assert (found.record.key, found.record.name) == (record["key"], EVAL)
        assert (found.folder / "record.json").exists()
        assert opened.artifact(EVAL) == found
        tiny.dataset("tiny", rows=5)  # the key is superseded, the artifact is there
        assert opened.artifact(record["key"][:8]) == found


def test_what_is_paid_is_paid_once(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """Jobs that Python submits, and does not await, are taken up by the command; the
    key is in the project's .env, and shown by nobody."""
    lab.setting()
    lines = (f"{name}={value}\n" for name, value in lab.environ.items())
    lab.project.write(".env", "".join(lines))
    opened = motools_build.open_project(lab.project.root)
    ran = opened.run("tutor", wait=False)
    assert {MODEL_AT + "0", MODEL_AT + "1"} <= {*ran.deferred}
    assert "made" in lab.project.doit("run", "tutor").out
    assert opened.run("tutor").made == ()
    assert len(lab.there("jobs")) == 2
    assert str(opened.model(MODEL_AT + "1")).startswith("ft:")
    out, err = capsys.readouterr()
    assert KEY not in out + err
    assert KEY not in [*os.environ.values()]


@pytest.mark.parametrize(
    ("words", "variables", "error"),
    [
        (["tina"], {}, SelectionError),
        (["tiny"], {"seed": 1}, VariableError),
        (["tiny"], {"seeds": [-1]}, VariableError),
        (["broken"], {}, SettingError),
        (["eval:tiny/none"], {}, SelectionError),
    ],
)
def test_errors_are_the_commands(
    tiny: Project,
    opened: OpenProject,
    words: list[str],
    variables: dict[str, Any],
    error: type[Exception],
) -> None:
    tiny.write("zoo/broken.py", "setting = 1\n")
    given = [f"{n}={v[0] if isinstance(v, list) else v}" for n, v in variables.items()]
    for command, method in (("run", opened.run), ("plan", opened.plan)):
        printed = tiny.doit(command, *words, *given, code=3).err
        with pytest.raises(InputError) as raised:
            method(*words, **variables)
        assert printed == f"ERROR: {raised.value}\n"
        if command == "plan":
            assert raised.type is error


class TestOpening:
    def test_a_folder_without_a_project(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=f"there is no project in {tmp_path}"):
            motools_build.open_project(tmp_path)

    def test_a_broken_pyproject(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_bytes(b"a = 1\n# \xe9\n")
        with pytest.raises(InputError, match=r"pyproject.toml:2: byte 0xe9 is not"):
            motools_build.open_project(tmp_path)

    def test_it_is_imported_on_first_use(self) -> None:
        code = "import sys, motools_build; assert len(sys.modules) < 100, sys.modules"
        subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True)


def test_two_projects_know_nothing_of_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither modules of one name, nor the keys of each other's .env."""
    code = (
        "import os\nfrom helper import NAME\n"
        "from motools_build import Dataset, Eval, Setting\n"
        "setting = Setting(description=f\"{NAME} {os.environ['SECRET_OF']}\", "
        'datasets=[Dataset("datasets/tiny.jsonl")], models=["dummy/echo"], '
        'evals=[Eval("dummy/score")])\n'
    )
    found = []
    for name in ("one", "two"):
        project = furnish(tmp_path / name)
        project.dataset("tiny")
        project.write("helper.py", f"NAME = {name!r}\n")
        project.write(".env", f"SECRET_OF={name}-secret\n")
        project.write("zoo/tiny.py", code)
        found.append(motools_build.open_project(project.root))
    for _ in range(2):
        for name, opened in zip(("one", "two"), found, strict=True):
            opened.run("tiny")
            said = opened.settings["tiny"].description
            assert said == f"{name} {name}-secret"
    assert "SECRET_OF" not in os.environ
    assert "helper" not in sys.modules


def test_calls_from_several_threads_wait_for_each_other(
    tiny: Project, opened: OpenProject, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[bool] = []
    threads = [
        threading.Thread(target=lambda: told.append(opened.status("tiny").complete))
        for _ in range(4)
    ]
    opened.run("tiny")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [True] * 4


def test_a_page_and_a_figure_are_written_where_they_are_asked_for(
    tiny: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any
) -> None:
    tiny.doit("run", "tiny")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    project = motools_build.open_project(tiny.root)
    page = project.report("tiny")
    assert page == tiny.root / "tiny.html"
    assert page.read_text().startswith("<!doctype html>")
    assert project.report("tiny", out="own.html") == elsewhere / "own.html"
    figure = project.plot("tiny", out=Path("fig.svg"), evals=["score"], seeds=[0])
    assert figure == elsewhere / "fig.svg"
    assert "<svg" in figure.read_text()
    assert sorted(path.name for path in elsewhere.iterdir()) == ["fig.svg", "own.html"]
    with pytest.raises(InputError, match="no eval 'other'"):
        project.plot("tiny", out="fig.svg", evals=["other"])
    with pytest.raises(SelectionError, match="no setting or stage is called"):
        project.report("tin")
    with pytest.raises(InputError, match="answers=-1"):
        project.report("tiny", answers=-1)
