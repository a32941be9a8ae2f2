"""The files that an eval's key covers: found without running them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from motools_build import Dataset, Eval
from motools_build.errors import DatasetError, EvalError
from motools_build.keys import DigestMemo, digest_bytes
from motools_build.planning.evals import Sources
from motools_build.planning.sources import Resolver

FILES = {
    "zoo/evals/task.py": """\
from inspect_ai import Task, task
import json, numpy
import helpers
from zoo.evals.judges import judge
@task
def first(): return Task(dataset=read("rows.jsonl"))
@task(name="second")
def second(): ...
def third(): ...
""",
    "zoo/evals/helpers.py": "from . import deeper\nraise SystemExit('never run')\n",
    "zoo/evals/deeper.py": 'PROMPT = "prompt.txt"\n',
    "zoo/evals/judges.py": "judge = 1\n",
    "zoo/evals/unrelated.py": "x = 1\n",
    "zoo/evals/rows.jsonl": "{}\n",
    "zoo/evals/prompt.txt": "Judge.\n",
    "zoo/evals/declared.bin": "1\n",
    "numpy.txt": "no module\n",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sources(name: str = "first", **fields: tuple[str, ...]) -> Sources:
    resolver = Resolver(DigestMemo(Path("memo.json")))
    return resolver(Eval(f"zoo/evals/task.py@{name}", **fields))


def test_the_task_its_modules_and_its_data(here: Path) -> None:
    assert set(sources().files) == {
        "zoo/evals/task.py",
        "zoo/evals/helpers.py",
        "zoo/evals/deeper.py",
        "zoo/evals/judges.py",
        "zoo/evals/rows.jsonl",
        "zoo/evals/prompt.txt",
    }


@pytest.mark.parametrize(
    "name", ["task.py", "helpers.py", "deeper.py", "judges.py", "rows.jsonl"]
)
def test_an_edit_of_any_of_them_counts(
    here: Path, name: str, edit: Callable[[Path, str, str], None]
) -> None:
    before = sources().inputs
    path = here / "zoo/evals" / name
    path.write_text(path.read_text() + "\n")
    assert sources().inputs != before


def test_an_unrelated_module_does_not_count(here: Path) -> None:
    before = sources()
    (here / "zoo/evals/unrelated.py").write_text("x = 2\n")
    assert sources() == before


def test_moving_the_task_with_its_files_changes_no_digest(here: Path) -> None:
    before = sources().inputs
    text = (here / "zoo/evals/task.py").read_text()
    (here / "zoo/evals/renamed.py").write_text(text)
    resolver = Resolver(DigestMemo(Path("memo.json")))
    assert resolver(Eval("zoo/evals/renamed.py@first")).inputs == before


def test_two_data_files_that_change_places_count(here: Path) -> None:
    task = here / "zoo/evals/task.py"
    task.write_text(task.read_text() + 'MORE = "declared.bin"\n')
    before = sources().inputs
    rows, more = here / "zoo/evals/rows.jsonl", here / "zoo/evals/declared.bin"
    one, other = rows.read_text(), more.read_text()
    rows.write_text(other)
    more.write_text(one)
    assert sources().inputs != before


def test_declared_data_counts(here: Path) -> None:
    assert "zoo/evals/declared.bin" in sources(data=("zoo/evals/declared.bin",)).files
    with pytest.raises(EvalError, match=r"nowhere\.csv cannot be read"):
        sources(data=("nowhere.csv",))


def test_a_folder_and_a_pattern_declare_the_files_that_they_hold(here: Path) -> None:
    folder = here / "zoo/evals/data"
    for name in ("a.jsonl", "deep/b.jsonl", "deep/c.txt", ".hidden", "__pycache__/x"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)

    def declared(literal: str) -> dict[str, str]:
        inputs = sources(data=(literal,)).inputs
        return {role: d for role, d in inputs.items() if role not in sources().inputs}

    place = "file:zoo/evals/data"
    whole = declared("zoo/evals/data")
    assert sorted(whole) == [
        f"{place}/a.jsonl",
        f"{place}/deep/b.jsonl",
        f"{place}/deep/c.txt",
    ]
    assert declared("zoo/evals/data/") == whole
    jsonl = declared("zoo/evals/data/**/*.jsonl")
    assert sorted(jsonl) == [f"{place}/a.jsonl", f"{place}/deep/b.jsonl"]
    # the key that naming the file had, and has
    assert declared("zoo/evals/data/a.jsonl") == {
        f"{place}/a.jsonl": digest_bytes(b"a.jsonl")
    }
    (folder / "deep/d.jsonl").write_text("d")  # one more
    assert declared("zoo/evals/data/**/*.jsonl") != jsonl
    (folder / "deep/d.jsonl").unlink()
    (folder / "a.jsonl").rename(folder / "e.jsonl")  # another name
    assert declared("zoo/evals/data") != whole
    (here / "empty").mkdir()
    for nothing in ("empty", "zoo/evals/data/*.csv"):
        with pytest.raises(EvalError, match="eval first: data: there is no file in"):
            sources(data=(nothing,))


def test_a_task_that_is_not_there_is_named(here: Path) -> None:
    assert sources("second")
    with pytest.raises(EvalError, match=r"no @task 'third'; .*: first, second"):
        sources("third")
    with pytest.raises(EvalError, match=r"zoo/evals/none\.py cannot be read"):
        Resolver(DigestMemo(Path("memo.json")))(Eval("zoo/evals/none.py@x"))


def test_broken_python_is_named_with_its_line(here: Path) -> None:
    (here / "zoo/evals/helpers.py").write_text("x = 1\ndef (:\n")
    with pytest.raises(EvalError, match=r"helpers\.py:2: not valid Python"):
        sources()


def test_a_missing_dataset_is_named(here: Path) -> None:
    with pytest.raises(DatasetError, match=r"dataset d: datasets/d\.jsonl cannot"):
        Resolver(DigestMemo(Path("memo.json")))(Dataset("datasets/d.jsonl"))


@pytest.mark.parametrize(
    ("code", "file"),
    [
        ('"./plain.txt"', "zoo/evals/plain.txt"),
        ('"../above.txt"', "zoo/above.txt"),
        ('"nodot"', "zoo/evals/nodot"),
        ('"both.txt"', "zoo/evals/both.txt"),
        ('"both.txt"', "both.txt"),  # which one is read depends on where it stands
        ("import twice", "zoo/evals/twice.py"),
        ("import twice", "twice.py"),
        ("from lib import far", "zoo/evals/near.py"),  # which lib/far.py imports
    ],
)
def test_whatever_a_name_may_mean_counts(here: Path, code: str, file: str) -> None:
    for name in ("zoo/evals/plain.txt", "zoo/above.txt", "zoo/evals/nodot"):
        (here / name).write_text("1")
    for name in ("both.txt", "twice.py"):
        (here / name).write_text("1")
        (here / "zoo/evals" / name).write_text("2")
    (here / "zoo/evals/lib").mkdir()
    (here / "zoo/evals/lib/far.py").write_text("import near\n")
    (here / "zoo/evals/near.py").write_text("1\n")
    task = here / "zoo/evals/task.py"
    task.write_text(task.read_text() + f"{code}\n")
    before = sources()
    assert file in before.files
    (here / file).write_text("3")
    assert sources().inputs != before.inputs


@pytest.mark.parametrize("code", ["from ...... import x", f"{'д' * 150 + '. и'!r}"])
def test_what_names_no_file_is_passed_over(here: Path, code: str) -> None:
    task = here / "zoo/evals/task.py"
    task.write_text(task.read_text() + f"{code}\n")
    assert sources()
