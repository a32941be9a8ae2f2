"""Bundles: one archive that computes its own numbers, with NumPy and SciPy alone."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from motools_build.report.bundle.parts import CODE
from motools_build.report.lock.document import encode
from tests.conftest import Project, Ran, furnish

TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def ask():
    samples = [
        Sample(id=f"q{n}, =1+1", input=f"What is 1 + {n}?", target=f"{n}")
        for n in range(9)
    ]
    return Task(dataset=samples, solver=generate(), scorer=includes(), epochs=2)
"""

ALONE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        own = first in sys.stdlib_module_names or first.startswith("_sysconfig")
        if own or first in ALLOWED:
            return None
        raise ImportError(f"{name} is not in this environment")

ALLOWED = {"numpy", "scipy", "motools_build", "__main__"}
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, FOLDER)
import runpy
try:
    runpy.run_path(FOLDER + "/recompute.py", run_name="__main__")
finally:
    print("FROM", sys.modules["motools_build"].__file__)
"""
"""Runs the script where only NumPy and SciPy can be imported."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = furnish(tmp_path_factory.mktemp("bundle") / "made")
    project.dataset("tiny")
    project.dataset("other", 5)
    project.write("zoo/evals/own.py", TASK)
    project.setting(
        "tiny",
        datasets='[Dataset("datasets/tiny.jsonl"), Dataset("datasets/other.jsonl")]',
        seeds="[0, 1]",
        evals='[Eval("dummy/questions"), Eval("dummy/score"), '
        'Eval("zoo/evals/own.py@ask")]',
    )
    project.doit("declare", "tiny")
    project.doit("run", "tiny")
    project.doit("lock", "tiny")
    project.doit("bundle", "tiny")
    return project


@pytest.fixture
def copy(made: Project, tmp_path: Path) -> Project:
    return Project(shutil.copytree(made.root, tmp_path / "copy"))


@pytest.fixture
def unpacked(made: Project, tmp_path: Path) -> Path:
    return extracted(made.root / "tiny.bundle.zip", tmp_path / "unpacked")


def extracted(file: Path, folder: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def names_in(file: Path) -> set[str]:
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


def recomputed(folder: Path) -> Ran:
    """What the script prints where nothing else is installed."""
    source = f"FOLDER = {str(folder)!r}\n{ALONE}"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    ran = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", source],
        capture_output=True,
        text=True,
        env=environ,
        cwd="/",
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def test_the_numbers_follow_from_the_scores(unpacked: Path) -> None:
    ran = recomputed(unpacked)
    assert ran.code == 0, ran.out + ran.err
    assert f"FROM {unpacked}/motools_build/__init__.py" in ran.out
    assert "; 0 not as locked" in ran.out
    lock = json.loads((unpacked / "tiny.lock.json").read_bytes())
    count = sum(len(lock[name]) for name in ("estimates", "means", "differences"))
    assert len(lock["differences"]) > 3
    lacking = sum("low" not in one for n in ("estimates", "means") for one in lock[n])
    assert lacking  # `dummy/score` has no scores of answers
    assert f"{count - lacking} of {count} computed from scores.csv" in ran.out
    assert ran.out.count("from the lock") == lacking


@pytest.mark.parametrize("kind", ["estimates", "means", "differences"])
def test_a_number_that_does_not_follow_is_found(unpacked: Path, kind: str) -> None:
    file = unpacked / "tiny.lock.json"
    body = json.loads(file.read_bytes())
    one = next(one for one in body[kind] if "low" in one)
    one["low"] -= 0.001
    file.write_bytes(encode(body))
    ran = recomputed(unpacked)
    assert ran.code == 1
    assert ran.out.count("NOT AS LOCKED") == 1
    assert f"locked {one['low']}" in ran.out


def test_a_score_that_was_edited_is_found(unpacked: Path) -> None:
    file = unpacked / "scores.csv"
    lines = file.read_text().splitlines()
    row = next(n for n, line in enumerate(lines) if line.endswith((",0", ",1")))
    lines[row] = lines[row][:-1] + ("1" if lines[row].endswith("0") else "0")
    file.write_text("\n".join(lines) + "\n")
    ran = recomputed(unpacked)
    assert ran.code == 1
    assert "NOT AS LOCKED" in ran.out


@pytest.mark.parametrize("name", ["scores.csv", "tiny.lock.json"])
def test_a_file_that_is_missing_is_told(unpacked: Path, name: str) -> None:
    (unpacked / name).unlink()
    ran = recomputed(unpacked)
    assert ran.code == 1
    assert f"lacks {'the lock' if 'lock' in name else name}" in ran.out
    assert "Traceback" not in ran.err


def test_every_answer_has_its_score(made: Project, unpacked: Path) -> None:
    with (unpacked / "scores.csv").open(newline="") as stream:
        told = {
            (row["key"], row["question"], row["answer"]): row["score"]
            for row in csv.DictReader(stream)
        }
    for record in made.records("eval").values():
        key = record["key"]
        folder = made.root / f"artifacts/eval/{record['backend']}-{key}"
        file = folder / "scores.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        for line in lines:
            row = json.loads(line)
            (score,) = row["scores"].values()
            one = told.pop((key, str(row["id"]), str(row["epoch"])))
            assert float(one) == {"C": 1, "I": 0}.get(score, score)
    assert told == {}


def test_what_is_in_it(made: Project) -> None:
    names = names_in(made.root / "tiny.bundle.zip")
    code = {f"motools_build/{name}" for name in CODE}
    data = {name for name in names if name.startswith("datasets/")}
    assert {name.partition("-")[2] for name in data} == {"tiny.jsonl", "other.jsonl"}
    assert names - code - data == {
        *("README.md", "ro-crate-metadata.json", "recompute.py", "scores.csv"),
        *("tiny.lock.json", "tiny.plan.json", "page.html", "motools_build/__init__.py"),
    }


def test_its_files_are_those_of_the_project(made: Project, unpacked: Path) -> None:
    for name in ("tiny.lock.json", "tiny.plan.json"):
        assert (unpacked / name).read_bytes() == (made.root / "zoo" / name).read_bytes()
    for file in (unpacked / "datasets").iterdir():
        own = made.root / "datasets" / file.name.partition("-")[2]
        assert file.read_bytes() == own.read_bytes()
    assert b"motools_build" in (unpacked / "page.html").read_bytes()


def test_equal_input_makes_equal_bytes(copy: Project) -> None:
    before = (copy.root / "tiny.bundle.zip").read_bytes()
    out = copy.doit("bundle", "tiny", "--out", "again.zip").out
    assert "again.zip: " in out
    assert "python recompute.py" in out
    assert (copy.root / "again.zip").read_bytes() == before


# ---- its metadata


def crate(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "ro-crate-metadata.json").read_bytes())
    assert document["@context"] == "https://w3id.org/ro/crate/1.1/context"
    found = {one["@id"]: one for one in document["@graph"]}
    assert len(found) == len(document["@graph"])
    return found


def test_the_crate_has_what_the_specification_asks_for(unpacked: Path) -> None:
    """RO-Crate 1.1, sections 4 and 5."""
    found = crate(unpacked)
    descriptor = found["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    root = found["./"]
    assert root["@type"] == "Dataset"
    for field in ("name", "description", "datePublished", "license"):
        assert root[field], field
    assert root["license"]["@id"] in found
    parts = {one["@id"] for one in root["hasPart"]}
    there = {
        str(path.relative_to(unpacked))
        for path in unpacked.rglob("*")
        if path.is_file()
    }
    assert parts == there - {"ro-crate-metadata.json"}
    for name in parts:
        assert found[name]["@type"] == "File"
        assert int(found[name]["contentSize"]) == (unpacked / name).stat().st_size


def test_all_that_the_crate_refers_to_is_there(unpacked: Path) -> None:
    found = crate(unpacked)

    def references(value: Any) -> set[str]:
        if isinstance(value, list):
            return {name for one in value for name in references(one)}
        return {value["@id"]} if isinstance(value, dict) else set()

    outside = {"https://w3id.org/ro/crate/1.1"}
    for one in found.values():
        for value in one.values():
            assert references(value) <= {*found, *outside}


def test_the_licence_and_the_authors_are_the_projects(copy: Project) -> None:
    file = copy.root / "pyproject.toml"
    own = '[project]\nname = "x"\nlicense = "MIT"\nauthors = [{ name = "A. N. Other" }]'
    file.write_text(f"{own}\n{file.read_text()}")
    copy.doit("bundle", "tiny")
    found = crate(extracted(copy.root / "tiny.bundle.zip", copy.root / "x"))
    assert found["#license"]["name"] == "MIT"
    assert found["./"]["author"] == {"@id": "#author-1"}
    assert found["#author-1"]["name"] == "A. N. Other"


# ---- what is left out


def test_without_data_there_are_neither_rows_nor_the_page(copy: Project) -> None:
    out = copy.doit("bundle", "tiny", "--no-data").out
    digests = json.loads((copy.root / "zoo/tiny.lock.json").read_bytes())["files"]
    assert "Without the datasets, whose digests are" in out
    assert digests["datasets/tiny.jsonl"] in out
    assert "Without the page" in out
    folder = extracted(copy.root / "tiny.bundle.zip", copy.root / "x")
    assert not (folder / "datasets").exists()
    assert not (folder / "page.html").exists()
    everything = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert b"What is 1 + 0?" not in everything
    assert recomputed(folder).code == 0


def test_from_a_clone_without_artifacts(copy: Project) -> None:
    shutil.rmtree(copy.root / "artifacts")
    copy.dataset("other", 6)
    out = copy.doit("bundle", "tiny").out
    assert "since what is here is not what is locked" in out
    assert "Without datasets/other.jsonl, whose bytes of digest" in out
    folder = extracted(copy.root / "tiny.bundle.zip", copy.root / "x")
    assert len([*(folder / "datasets").iterdir()]) == 1
    assert "Without datasets/other.jsonl" in (folder / "README.md").read_text()
    assert recomputed(folder).code == 0


def test_without_a_lock(copy: Project) -> None:
    (copy.root / "zoo/tiny.lock.json").unlink()
    before = (copy.root / "tiny.bundle.zip").read_bytes()
    err = copy.doit("bundle", "tiny", code=3).err
    assert "`doit lock tiny` writes it" in err
    assert (copy.root / "tiny.bundle.zip").read_bytes() == before
    assert not [*copy.root.glob(".*.new")]
    assert "no setting or lock is called" in copy.doit("bundle", "x", code=3).err


# ---- secrets, names, kills


def test_a_dataset_with_a_secret_is_refused(
    copy: Project, edit: Callable[[Path, str, str], None]
) -> None:
    secret = "What is 1 + 2"  # a text that is in the rows
    ran = copy.doit("bundle", "tiny", code=3, LAB_API_KEY=secret)
    assert "holds a secret" in ran.err
    assert "--no-data" in ran.err
    copy.doit("bundle", "tiny", "--no-data", LAB_API_KEY=secret)


def test_no_file_of_it_has_a_secret(copy: Project) -> None:
    secret = "q3, =1+1"  # a question's ID
    copy.doit("bundle", "tiny", "--no-data", LAB_API_KEY=secret)
    folder = extracted(copy.root / "tiny.bundle.zip", copy.root / "x")
    for path in folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_names_from_elsewhere_stay_in_the_archive(project: Project) -> None:
    name = "..\\..\\evil ␛[2J.jsonl"
    project.dataset("tiny")
    (project.root / "datasets/tiny.jsonl").rename(project.root / "datasets" / name)
    path = f"datasets/{name}"
    project.setting("tiny", datasets=f"[Dataset({path!r}, name='tiny')]")
    project.doit("run", "tiny")
    project.doit("lock", "tiny")
    project.doit("bundle", "tiny")
    for one in names_in(project.root / "tiny.bundle.zip"):
        assert ".." not in one
        assert one.isascii()
        assert "\\" not in one


@pytest.mark.real_process
def test_a_killed_bundle_leaves_nothing_but_the_old_one(copy: Project) -> None:
    file = copy.root / "tiny.bundle.zip"
    before, there = file.read_bytes(), {*os.listdir(copy.root)}
    running = copy.start("bundle", "tiny")
    handles = Path(f"/proc/{running.pid}/fd")
    while not any(is_unnamed(one, copy.root) for one in handles.iterdir()):
        assert running.poll() is None
    running.kill()
    running.communicate(timeout=60)
    assert running.returncode == -signal.SIGKILL
    assert file.read_bytes() == before
    assert {*os.listdir(copy.root)} == there


def is_unnamed(handle: Path, folder: Path) -> bool:
    """Whether an open file lies in the folder without a name."""
    with suppress(OSError):
        place = os.readlink(handle)
        return place.startswith(f"{folder}/#") and place.endswith("(deleted)")
    return False
