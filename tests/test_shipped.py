"""Evals that use motools_build.evals: their keys cover the modules that they use, and
no others, by names that are the same wherever the package is installed."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from motools_build import Eval
from motools_build.keys import DigestMemo, digest_file
from motools_build.planning.evals import Sources
from motools_build.planning.sources import Resolver
from motools_build.task_code import shipped
from motools_build.task_code.audit import Watch
from motools_build.task_code.reads import digest_now, name_of
from tests.conftest import ROOT

TASKS = """\
from inspect_ai import Task, task
{imports}
@task
def asked(file="x"): return Task()
"""

OURS = "motools_build.evals."

MODULES = sorted((ROOT / "motools_build/evals").glob("*.py"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two evals, and a copy of the package's evals to edit."""
    for name, imports in {
        "capitals": "from motools_build.evals.capitals import capitals",
        "judged": "from motools_build.evals import freeform, questions",
    }.items():
        path = tmp_path / f"project/zoo/evals/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TASKS.replace("{imports}", imports))
    install(tmp_path / "site", monkeypatch)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the package's evals in another place."""
    shutil.copytree(ROOT / "motools_build/evals", site / "motools_build/evals")
    monkeypatch.setattr(shipped, "FOLDER", str(site / "motools_build/evals"))


def sources(name: str, **args: str) -> Sources:
    resolver = Resolver(DigestMemo(Path("memo.json")))
    return resolver(Eval(f"zoo/evals/{name}.py@asked", args=args))


def test_a_key_has_the_modules_that_are_used(here: Path) -> None:
    assert set(sources("capitals").inputs) == {
        *("task", "module:motools_build.evals", "module:motools_build.evals.capitals")
    }
    assert set(sources("judged").files) == {
        "zoo/evals/judged.py",
        "motools_build/evals/__init__.py",
        "motools_build/evals/freeform.py",
        "motools_build/evals/questions.py",
        "motools_build/evals/question_files.py",
        "motools_build/evals/digits.py",
        "motools_build/evals/judgement.py",
        "motools_build/evals/judges.py",
        "motools_build/evals/metrics.py",
        "motools_build/evals/verdicts.py",
    }


def test_an_edit_counts_for_those_that_use_the_module(here: Path) -> None:
    before = {name: sources(name) for name in ("capitals", "judged")}
    edited = here / "site/motools_build/evals/verdicts.py"  # used by what `judged` uses
    edited.write_text(edited.read_text() + "\n")
    assert sources("capitals") == before["capitals"]
    assert sources("judged").inputs != before["judged"].inputs


def test_a_package_elsewhere_has_the_same_keys(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = "motools_build/evals/freeform_example.yaml"
    before = sources("judged", file=file)
    assert before.inputs[f"file:{file}"] == digest_file(ROOT / file)
    install(here / "elsewhere", monkeypatch)
    assert sources("judged", file=file) == before


def test_a_folder_of_the_project_that_is_called_like_it_is_not_meant(
    here: Path,
) -> None:
    before = sources("capitals").inputs
    mine = Path("motools_build/evals/capitals.py")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine = 1\n")
    assert sources("capitals").inputs == before


def test_what_is_read_has_the_same_name(here: Path) -> None:
    root, site = str(here / "project"), here / "site"
    file = str(site / "motools_build/evals/number.py")
    name = name_of(file, root)
    assert name == "motools_build/evals/number.py"
    assert digest_now(name, digest_file) == digest_file(file)
    cached = site / "motools_build/evals/__pycache__/number.pyc"
    assert name_of(str(cached), root) is None
    assert name_of(str(ROOT / "motools_build/keys.py"), root) is None


def test_the_project_may_hold_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert name_of(str(ROOT / "motools_build/keys.py"), str(ROOT)) is None
    name = "motools_build/evals/number.py"
    assert name_of(str(ROOT / name), str(ROOT)) == name


def test_a_worker_compares_what_it_reads_with_what_was_planned(here: Path) -> None:
    name = "motools_build/evals/number.py"
    watch = Watch()
    watch._root = str(here / "project")
    watch.begin({name: digest_file(shipped.place_of(name))})
    Path(shipped.place_of(name)).write_text("edited = 1\n")
    with pytest.raises(Exception, match=f"{name} was edited after this run was"):
        watch._read(name)


def test_the_package_itself_holds_nothing() -> None:
    """It is in the key of every eval that uses a module of it."""
    tree = ast.parse((ROOT / "motools_build/evals/__init__.py").read_bytes())
    assert [type(node) for node in tree.body] == [ast.Expr]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_modules_import_nothing_else_of_the_package(module: Path) -> None:
    """They are plain Inspect; and by full names, which is how a key finds them."""
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            name = node.module or ""
            assert not name.startswith("motools_build") or name.startswith(OURS)
        elif isinstance(node, ast.Import):
            assert not any(a.name.startswith("motools_build") for a in node.names)
