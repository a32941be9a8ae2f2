"""The git commit in records: asked once a run that makes something, and never a
reason to fail."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import motools_build
from motools_build.running import revision as module
from motools_build.running.revision import revision
from tests.conftest import Project


@pytest.fixture(autouse=True)
def _own_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of whoever runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def git(folder: Path, *words: str) -> str:
    name = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    ran = subprocess.run(
        ["git", *name, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


def committed(folder: Path) -> str:
    """A repository of the folder's files; returns the hash of its commit."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder below a repository's."""
    inner = tmp_path / "repository/project"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text("")
    (inner / ".gitignore").write_text("artifacts/\n")
    (inner / "artifacts").mkdir()
    (inner / "artifacts/one").write_text("")
    (inner.parent / "beside.txt").write_text("")
    return inner


def test_a_commit_and_whether_the_files_are_its(folder: Path) -> None:
    commit = committed(folder.parent)
    assert revision(folder) == {"commit": commit, "dirty": False}
    (folder.parent / "beside.txt").write_text("edited")
    assert revision(folder) == {"commit": commit, "dirty": False}
    (folder / "pyproject.toml").write_text("edited")
    assert revision(folder) == {"commit": commit, "dirty": True}
    git(folder, "checkout", "pyproject.toml")
    (folder / "new.py").write_text("")
    assert revision(folder) == {"commit": commit, "dirty": True}
    git(folder, "add", "new.py")
    assert revision(folder) == {"commit": commit, "dirty": True}


def test_what_is_not_known_is_not_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert revision(folder) == {}  # no repository
    git(folder.parent, "init", "-q")
    assert revision(folder) == {}  # no commit
    (folder.parent / ".gitignore").write_text("project/\n")
    committed(folder.parent)
    assert revision(folder) == {}  # a commit that has nothing of the project
    (folder.parent / ".gitignore").write_text("repository/\n/project\n")
    assert revision(folder) == {}
    (folder.parent / ".gitignore").unlink()
    assert revision(folder)["dirty"] is True
    monkeypatch.setenv("PATH", str(folder))
    assert revision(folder) == {}  # no git


def a_git(folder: Path, script: str) -> str:
    """A program `git` that runs a script first; returns a PATH that has it."""
    folder.mkdir()
    program = folder / "git"
    real = subprocess.run(["which", "git"], capture_output=True, text=True).stdout
    program.write_text(f'#!/bin/sh\n{script}\nexec {real.strip()} "$@"\n')
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_a_slow_git_is_not_waited_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(folder.parent)
    monkeypatch.setenv("PATH", a_git(tmp_path / "bin", "sleep 30"))
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    began = time.monotonic()
    assert revision(folder) == {}
    assert time.monotonic() - began < 10


def test_a_run_notes_it_with_one_call(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    beside = tmp_path_factory.mktemp("beside")
    project.dataset("t")
    project.setting("t", seeds="[0, 1]")
    project.write(".gitignore", "artifacts/\n*.pyc\n__pycache__/\n.doit*\n")
    commit = committed(project.root)
    calls = beside / "calls"
    calls.write_text("")
    path = a_git(beside / "bin", f"echo >> {calls}")
    keys = [r["key"] for r in project.results("t")]
    project.doit("run", "t", PATH=path)
    assert calls.read_text().count("\n") == 1
    found = project.results("t")
    assert [r["key"] for r in found] == keys
    assert {(r["commit"], r["dirty"]) for r in found} == {(commit, False)}
    project.doit("run", "t", PATH=path)
    project.doit("results", "t", PATH=path)
    project.doit("plan", "t", PATH=path)
    assert calls.read_text().count("\n") == 1
    project.setting("t", seeds="[0, 1, 2]")
    project.doit("run", "t", PATH=path)
    assert calls.read_text().count("\n") == 2
    new = {r["seed"]: r["dirty"] for r in project.results("t")}
    assert new == {None: False, 0: False, 1: False, 2: True}
    frame = motools_build.open_project(project.root).results("t")
    assert str(frame["dirty"].dtype) == "boolean"
    assert frame["dirty"].sum() == 1


def test_a_git_that_fails_fails_no_run(project: Project, tmp_path: Path) -> None:
    project.dataset("t")
    project.setting("t")
    project.doit("run", "t", PATH=a_git(tmp_path / "bin", "exit 128"))
    assert {(r["commit"], r["dirty"]) for r in project.results("t")} == {(None, None)}
    out = project.doit("results", "t", "--csv").out
    for row in csv.DictReader(io.StringIO(out)):
        assert (row["commit"], row["dirty"]) == ("", "")
    records: dict[str, dict[str, Any]] = project.records("eval")
    assert all("commit" not in record["made"] for record in records.values())
