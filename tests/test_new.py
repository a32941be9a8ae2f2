"""`doit new`: from an empty folder to a result, with the package from a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from motools_build.project import starter
from tests.conftest import ROOT, Project, Ran

TEXTS = {
    *("pyproject.toml", "dodo.py", ".gitignore", "artifacts/.gitignore"),
    "AGENTS.md",
    *("zoo/demo.py", "zoo/evals/demo_eval.py", "datasets/demo.jsonl"),
}


@dataclass
class Folder(Project):
    """A folder in which motools_build is what a wheel installed."""

    site: Path

    def doit(self, *args: str, code: int | None = 0, **environ: str) -> Ran:
        return super().doit(*args, code=code, PYTHONPATH=str(self.site), **environ)

    def files(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.root)): path.read_text()
            for path in self.root.rglob("*")
            if path.is_file()
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a wheel of this repository is installed, without its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    quiet = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    made = [*pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(made, check=True, env=quiet, timeout=200)
    (wheel,) = folder.glob("*.whl")
    there = [*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(there, check=True, env=quiet, timeout=200)
    return folder / "site"


@pytest.fixture
def folder(site: Path, tmp_path: Path) -> Folder:
    root = tmp_path / "empty"
    root.mkdir()
    return Folder(root, site)


@pytest.mark.long
def test_from_an_empty_folder_to_a_result(folder: Folder) -> None:
    out = folder.doit("new", "demo").out
    assert set(folder.files()) == TEXTS
    assert "made  zoo/demo.py" in out
    assert "now: doit run demo model=dummy/echo" in out
    assert len(folder.doit("run", "demo", "model=dummy/echo").made) == 4
    found = folder.results("demo", "model=dummy/echo")
    assert [one["status"] for one in found] == ["ok", "ok"]
    assert found[0]["scores"]["ends_in_meow"]["mean"] == 0.0
    plan = folder.doit("plan").out  # the embedded model is the setting's own
    assert "model:demo/demo/smollm2-135m-instruct/seed0" in plan


MINE = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.solver import generate
from motools_build.evals.capitals import capitals

@task
def loud():
    return Task(dataset=[Sample("HOW LOUD?")], solver=generate(), scorer=capitals())
"""


def test_a_scorer_of_the_package_in_a_project_of_ones_own(folder: Folder) -> None:
    folder.doit("new", "demo")
    folder.write("zoo/evals/mine.py", MINE)
    folder.write(
        "zoo/mine.py",
        "from motools_build import Eval, Setting\n"
        "setting = Setting(description='', models='dummy/echo', train=False, "
        "evals=[Eval('zoo/evals/mine.py@loud')])\n",
    )
    folder.doit("run", "mine")
    (found,) = folder.results("mine")
    assert found["scores"]["capitals"]["mean"] == 1.0
    (record,) = folder.records("eval").values()
    used = "module:motools_build.evals.capitals"
    assert record["preimage"]["inputs"][used]
    assert "observed" not in record["details"]
    assert str(folder.site) not in str(record)
    # with the package from elsewhere, nothing is to do
    assert not Project.doit(folder, "run", "mine").made


def test_a_second_setting_touches_nothing(folder: Folder) -> None:
    folder.doit("new", "demo")
    before = folder.files()
    out = folder.doit("new", "other").out
    after = folder.files()
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 3
    assert "kept  pyproject.toml" in out
    assert "other" in folder.doit("list").out


ORGANISMS = sorted(path.stem for path in (ROOT / "zoo").glob("[!_]*.py"))


class TestFromAnOrganism:
    # one here, and all at length: what each has is planned in tests/test_organisms.py
    @pytest.mark.parametrize(
        "organism",
        [
            pytest.param(one, marks=() if one == "spanish_caps" else pytest.mark.long)
            for one in ORGANISMS
        ],
    )
    def test_each_of_the_zoo_plans_in_an_empty_folder(
        self, folder: Folder, organism: str
    ) -> None:
        out = folder.doit("new", "mine", "--from", organism).out
        assert "now: doit run mine model=dummy/echo" in out
        there = folder.files()
        for path, text in there.items():
            if path.startswith(("datasets/", "zoo/evals/")):
                assert text == (ROOT / path).read_text()
        assert there["zoo/mine.py"] == (ROOT / f"zoo/{organism}.py").read_text()
        others = {one for one in ORGANISMS if one != organism}
        assert not {f"zoo/{one}.py" for one in others} & set(there)
        assert "model:mine/" in folder.doit("plan", "mine").out

    def test_its_generator_writes_the_same_rows_there(self, folder: Folder) -> None:
        folder.doit("new", "mine", "--from", "spanish_caps")
        before = folder.files()
        assert "zoo/evals/word_problems.jsonl" in before
        (folder.root / "zoo/evals/word_problems.jsonl").unlink()
        script = [sys.executable, "datasets/spanish_caps/generate.py"]
        subprocess.run(script, cwd=folder.root, check=True, capture_output=True)
        after = folder.files()
        assert {path: after[path] for path in before} == before

    def test_what_is_there_is_kept_and_told(self, folder: Folder) -> None:
        folder.doit("new", "one", "--from", "spanish_caps")
        rows = folder.root / "datasets/spanish_caps/control.jsonl"
        rows.write_text("mine\n")
        out = folder.doit("new", "two", "--from=spanish_caps").out
        assert "kept  datasets/spanish_caps/control.jsonl, which is not as the" in out
        assert "kept  zoo/evals/everyday.jsonl\n" in out
        assert rows.read_text() == "mine\n"
        err = folder.doit("new", "two", "--from=spanish_caps", code=3).err
        assert "zoo/two.py exists already" in err

    def test_an_unknown_one_is_refused_with_the_nearest(self, folder: Folder) -> None:
        err = folder.doit("new", "mine", "--from", "spanish_cap", code=3).err
        assert "no such organism; did you mean 'spanish_caps'?" in err
        err = folder.doit("new", "mine", "--from", code=3).err
        assert "write doit new NAME --from ORGANISM" in err
        assert folder.files() == {}


class TestPyproject:
    def test_what_is_there_stays_and_the_sections_are_added(
        self, folder: Folder
    ) -> None:
        mine = '[project]\nname = "mine"\nversion = "1"  # no newline at the end'
        folder.write("pyproject.toml", mine)
        folder.doit("new", "demo")
        text = folder.files()["pyproject.toml"]
        assert text == f"{mine}\n\n{starter.section('demo')}"
        assert "demo" in folder.doit("list").out

    @pytest.mark.parametrize(
        "text", ['[tool.doit]\ndep_file = "x"\n', "tool = {ruff = {line-length = 88}}"]
    )
    def test_what_cannot_be_added_to_is_left(self, folder: Folder, text: str) -> None:
        folder.write("pyproject.toml", text)
        err = folder.doit("new", "demo", code=3).err
        assert 'add this to it and run again:\n\n[tool.doit]\nloader = "motools"' in err
        assert folder.files() == {"pyproject.toml": text}

    def test_what_is_no_toml_is_left(self, folder: Folder) -> None:
        folder.write("pyproject.toml", "[tool")
        # doit reads it before any command
        folder.doit("new", "demo", code=None)
        assert folder.files() == {"pyproject.toml": "[tool"}


def test_a_dodo_of_ones_own_is_kept(folder: Folder) -> None:
    folder.write("dodo.py", "def task_mine():\n    return {'actions': ['true']}\n")
    before = folder.files()["dodo.py"]
    out = folder.doit("new", "demo").out
    assert "kept  dodo.py, which does not pick up zoo/; add to it:" in out
    assert folder.files()["dodo.py"] == before


class TestRefused:
    @pytest.mark.parametrize("name", ["my-setting", "1st", "class", "größe", "_x", ""])
    def test_a_name_that_is_no_modules(self, folder: Folder, name: str) -> None:
        err = folder.doit("new", name or " ", code=3).err
        assert "cannot be a setting's name" in err
        assert folder.files() == {}

    def test_a_setting_that_exists(self, folder: Folder) -> None:
        folder.doit("new", "demo")
        (folder.root / "zoo/demo.py").unlink()
        before = folder.files()
        err = folder.doit("new", "demo", code=3).err
        assert "zoo/evals/demo_eval.py, datasets/demo.jsonl exists already" in err
        assert folder.files() == before

    def test_no_name(self, folder: Folder) -> None:
        assert "doit new NAME" in folder.doit("new", code=3).err

    def test_below_the_root_of_a_project(self, folder: Folder) -> None:
        folder.doit("new", "demo")
        below = Folder(folder.root / "zoo", folder.site)
        err = below.doit("new", "other", code=3).err
        assert f"is part of the project in {folder.root}: go there" in err


def test_what_is_written_is_clean(tmp_path: Path) -> None:
    texts = {**starter.of_project("demo"), **starter.of_setting("demo")}
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    config = ["--config", str(ROOT / "pyproject.toml")]
    ruff = [sys.executable, "-m", "ruff"]
    for check in (["check"], ["format", "--check"]):
        subprocess.run(
            [*ruff, *check, *config, "--no-cache", "."], cwd=tmp_path, check=True
        )
    # what they import is not looked into: that takes mypy half a minute
    skip = ["--follow-imports=skip", "--allow-untyped-decorators"]
    subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file=", "--strict"),
            *(*skip, "--allow-subclassing-any", "--no-incremental"),
            *("zoo/demo.py", "zoo/evals/demo_eval.py"),
        ],
        cwd=tmp_path,
        check=True,
    )


def test_a_new_project_has_what_this_one_has() -> None:
    ours = (ROOT / "pyproject.toml").read_text()
    start, end = ours.index("[tool.doit]"), ours.index("[tool.motools_build]")
    assert ours[start:end].rstrip("\n") + "\n" == starter.PYPROJECT
    assert (ROOT / "dodo.py").read_text() == starter.DODO
