"""Results that leave the tool: files, Parquet, and a row for each answer."""

from __future__ import annotations

import csv
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pandas
import pytest

import motools_build
from motools_build.doit_host.out import whole_file, whole_text
from motools_build.errors import MissingExtra
from motools_build.report import parquet
from motools_build.report.sample_rows import SAMPLE, spooled
from tests.conftest import Project, furnish
from tests.test_properties import doit_here

TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, includes, mean, scorer
from inspect_ai.solver import generate

WHY = "It, is\\n\\"so\\"."

@scorer(metrics={"points": [mean()], "tone": [mean()]})
def judge():
    async def score(state, target):
        n = float(state.sample_id)
        return Score(value={"points": n * 10, "tone": n}, explanation=WHY)
    return score

@task
def two():
    samples = [Sample(w, id=n, target="é") for n, w in enumerate(["é", "b,c"], 1)]
    return Task(dataset=samples, solver=generate(), scorer=[includes(), judge()])
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = furnish(tmp_path_factory.mktemp("rows"))
    project.dataset("t")
    project.write("zoo/evals/t.py", TASKS)
    evals = '[Eval("zoo/evals/t.py@two"), Eval("dummy/score")]'
    project.setting("t", evals=evals, seeds="[0]")
    project.doit("run", "t")
    return project


def told(project: Project, *words: str, code: int = 0) -> str:
    ran = doit_here(project.root, "results", "t", *words)
    assert ran.code == code, ran.out + ran.err
    return ran.out if code == 0 else ran.err


FORMS = {
    "table": [],
    "csv": ["--csv"],
    "json": ["--json"],
    "md": ["--format=md"],
    "latex": ["--format=latex"],
    "differences": ["--differences", "--csv"],
    "by": ["--by=dataset", "--json"],
    "samples": ["--samples", "--csv"],
    "lines": ["--samples", "--json"],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_has_what_is_printed(form: str, ran: Project, tmp_path: Path) -> None:
    file = tmp_path / "out"
    assert told(ran, *FORMS[form], "--out", str(file)).splitlines() == [str(file)]
    # rich draws with other lines to a stream that has no encoding, as those of `told`
    printed = ran.doit if form == "table" else None
    out = printed("results", "t").out if printed else told(ran, *FORMS[form])
    assert file.read_text(encoding="utf-8") == out
    assert [*tmp_path.iterdir()] == [file]


def test_samples_are_those_of_the_frame(ran: Project, tmp_path: Path) -> None:
    frame = motools_build.open_project(ran.root).samples("eval:t/*")
    lines = [json.loads(one) for one in told(ran, "--samples", "--json").splitlines()]
    rows = list(csv.DictReader(io.StringIO(told(ran, "--samples", "--csv"))))
    assert len(lines) == len(rows) == len(frame) == 4
    assert set(rows[0]) == set(frame.columns)
    for line, row, (_, of_frame) in zip(lines, rows, frame.iterrows(), strict=True):
        assert json.loads(row["messages"]) == line["messages"] == of_frame["messages"]
        for name in set(frame.columns) - {"messages"}:
            value = line.get(name)
            assert row[name] == ("" if value is None else str(value)), name
            if value is not None:
                assert of_frame[name] == value
    assert lines[0]["scores.judge.value.points"] == 10.0
    assert lines[0]["target"] == "é"


def test_parquet_has_the_same_rows_with_types(ran: Project, tmp_path: Path) -> None:
    file = tmp_path / "results.parquet"
    told(ran, "--format=parquet", "--out", str(file))
    typed = pandas.read_parquet(file)
    frame = motools_build.open_project(ran.root).results("t")
    assert [*typed.columns] == [
        name
        for one in frame.columns
        for name in ((one, "text") if one == "value" else (one,))
    ]
    assert typed["value"].dtype == "float64"
    assert list(typed["value"]) == list(frame["value"])
    assert list(typed["key"]) == list(frame["key"])
    told(ran, "--samples", "--format=parquet", "--out", str(file))
    samples = pandas.read_parquet(file)
    assert samples["scores.judge.value.points"].dtype == "float64"
    assert list(samples["scores.includes.value"]) == ["C", "I", "I", "I"]
    assert list(samples["id"]) == ["1", "2"] * 2
    assert json.loads(samples["messages"][0])[0]["content"] == "é"


def test_a_value_that_is_no_number_is_text(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"value": 0.5, "note": None, "seed": 1},
        {"value": "high", "note": "n", "seed": None},
        {"value": [1, 2], "note": "n \ud800", "seed": 2},
    ]
    columns, moved = parquet.with_text(["value", "note", "seed"], rows)
    parquet.write_parquet(tmp_path / "p", columns, moved)
    typed = pandas.read_parquet(tmp_path / "p")
    assert [*typed.columns] == ["value", "text", "note", "seed"]
    assert typed["value"][0] == 0.5
    assert typed["value"].isna().tolist() == [False, True, True]
    assert typed["text"].tolist()[1:] == ["high", "[1, 2]"]
    assert typed["note"][2] == "n \\ud800"


def test_without_pyarrow_the_extra_is_named(ran: Project, tmp_path: Path) -> None:
    with (
        mock.patch.dict(sys.modules, {"pyarrow": None}),
        pytest.raises(MissingExtra, match=r"pip install 'motools_build\[parquet\]'"),
    ):
        parquet.pyarrow()
    file = tmp_path / "p"
    with mock.patch.dict(sys.modules, {"pyarrow": None}):
        said = told(ran, "--format=parquet", "--out", str(file), code=3)
    assert "motools_build[parquet]" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format=parquet"], "add --out FILE.parquet"),
        (["--samples"], "--samples has no tables"),
        (["--samples", "--differences", "--json"], "exclude each other"),
        (["--csv", "--out", "nowhere/file.csv"], "the system refused"),
    ],
)
def test_what_cannot_be_written_is_refused(
    words: list[str], said: str, ran: Project
) -> None:
    assert said in told(ran, *words, code=3)
    assert not (ran.root / "nowhere").exists()


def test_a_file_stays_as_it_was_if_writing_fails(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text("before")
    with pytest.raises(OSError, match="full"):
        _write_half(file)
    assert file.read_text() == "before"
    assert [*tmp_path.iterdir()] == [file]
    with whole_file(file) as temporary:
        temporary.write_text("after")
    assert file.read_text() == "after"


def _write_half(file: Path) -> None:
    with whole_text(file) as stream:
        stream.write("half")
        raise OSError("the disk is full")


def test_a_secret_is_not_written(tmp_path: Path) -> None:
    from motools_build.text.scrub import remember

    secret = "sk-a-secret-that-is-long-enough"
    remember(secret)
    file = tmp_path / "out"
    with whole_text(file) as stream:
        stream.write(f"the key is {secret}.\n")
    assert secret not in file.read_text()
    parquet.write_parquet(file, ["note"], [{"note": f"the key is {secret}."}])
    assert secret not in str(pandas.read_parquet(file)["note"][0])


def test_samples_take_the_same_memory_however_many_there_are(tmp_path: Path) -> None:
    def rows(number: int) -> Iterator[dict[str, Any]]:
        for n in range(number):
            row = dict.fromkeys(SAMPLE, "x" * 100)
            yield {**row, "id": n, "epoch": 1, "scores.s.value": float(n)}

    def peak(number: int) -> int:
        tracemalloc.start()
        with spooled(rows(number)) as kept:
            assert kept.real == ("scores.s.value",)
            parquet.write_parquet(tmp_path / "p", kept.columns, kept.rows(), kept.real)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(2 * parquet.BATCH), peak(20 * parquet.BATCH)
    assert many < 1.5 * few
