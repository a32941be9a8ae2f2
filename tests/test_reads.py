"""What counts as an input of an eval, by its name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from motools_build.keys import digest_file
from motools_build.task_code.reads import (
    ABSENT,
    difference,
    digest_now,
    is_declared,
    name_of,
    variables_of,
)
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("zoo/evals/q.jsonl", "zoo/evals/q.jsonl"),
        ("zoo/../lib/x.py", "lib/x.py"),
        ("link", "link"),
        ("", "."),
        ("../elsewhere", None),
        ("artifacts/eval/x/log.eval", None),
        ("zoo/artifacts/rows.jsonl", "zoo/artifacts/rows.jsonl"),
        ("zoo/__pycache__/x.pyc", None),
        (".git/HEAD", None),
        ("env/lib/python3.11/site-packages/x.py", None),
        ("src/mine.egg-info/PKG-INFO", None),
    ],
)
def test_names(tmp_path: Path, path: str, name: str | None) -> None:
    (tmp_path / "link").symlink_to(tmp_path.parent)
    assert name_of(os.path.join(tmp_path, path), str(tmp_path)) == name


def test_a_way_round_by_a_link_comes_to_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "root")
    assert name_of(f"{tmp_path}/way/x", f"{tmp_path}/root") == "x"


def test_what_is_installed_below_the_root_is_no_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", f"{tmp_path}/env")
    assert name_of(f"{tmp_path}/env/pyvenv.cfg", str(tmp_path)) is None
    assert name_of(f"{tmp_path}/environment", str(tmp_path)) == "environment"
    assert name_of(f"{ROOT}/motools_build/keys.py", str(ROOT)) is None
    monkeypatch.setattr(sys, "prefix", "/")  # above the project
    assert name_of(f"{tmp_path}/x", str(tmp_path)) == "x"


def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nowhere", "nowhere/"):
        assert digest_now(f"{tmp_path}/{name}", digest_file) == ABSENT


def test_folders_that_are_declared() -> None:
    data = ("zoo/data", "zoo/more/**/*.jsonl", "lib/one.txt")
    for name in ("zoo/data/", "zoo/data/deep/", "zoo/more/", "zoo/more/deep/"):
        assert is_declared(name, data)
    for name in ("zoo/", "zoo/database/", "lib/", "./"):
        assert not is_declared(name, data)


def test_differences_are_said() -> None:
    assert difference("x", "1", "1") is None
    said = {
        difference(name, recorded, now)
        for name, recorded, now in (
            *(("x", "1", "2"), ("x", "1", ABSENT), ("x", ABSENT, "1")),
            *(("x", "1", None), ("x/", "1", "2")),
        )
    }
    assert len(said) == 5
    assert "x changed since (observed)" in said


def test_variables_that_a_module_reads() -> None:
    source = b"""
import os
from os import environ, getenv
os.environ["A"], environ["B"], os.getenv("C"), getenv("D", "x"), os.environ.get("E")
other["F"], other.get("G"), os.environ[name]
"""
    assert set(variables_of(source)) == set("ABCDE")
    assert list(variables_of(b"def (:")) == []
