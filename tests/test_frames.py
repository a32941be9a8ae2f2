"""Data frames hold what `doit results --json` and `doit samples --json` print."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pandas
import pytest

from motools_build.errors import MissingExtra
from motools_build.keys import digest_bytes
from motools_build.project.project import Project as Folder
from motools_build.report import frames, sample_rows
from motools_build.report.frames import means_frame, results_frame, samples_frame
from motools_build.report.samples import Transcripts
from motools_build.report.table import Table, table
from tests.conftest import Project, furnish
from tests.test_properties import doit_here


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two settings: one that was run, with two seeds, and one that never was."""
    project = furnish(tmp_path_factory.mktemp("frames"))
    for first, name in enumerate(("done", "never")):
        project.dataset(name, first=first)
        project.setting(name, seeds="[0, 1]", controls="False")
    assert doit_here(project.root, "run", "done").code == 0
    return project


def tables(project: Project) -> list[Table]:
    with chdir(project.root):
        opened = Folder({})
        return [table(opened.plan(n), opened.store) for n in ("done", "never")]


def printed(project: Project) -> list[dict[str, Any]]:
    """What `doit results --json` prints, a setting each."""
    out = doit_here(project.root, "results", "done", "never", "--json").out
    return [json.loads(line) for line in out.splitlines()]


def values(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows, with None where there is no value, as JSON has it."""
    found = frame.astype(object).where(frame.notna(), None)
    return found.to_dict("records")  # type: ignore[no-any-return]


def flat(bodies: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows that JSON's results come to: a row for each metric of a cell."""
    for body in bodies:
        for result in body["results"]:
            cell = {"setting": body["setting"], **result}
            for name in ("scores", "estimates", "noticed"):
                del cell[name]
            found = cell["versions"].items()
            cell["versions"] = ", ".join(f"{n} {v}" for n, v in found) or None
            for metric in result["estimates"]:
                assert metric["status"] == result["status"]
                yield {**cell, **metric}
            if not result["estimates"]:
                yield {**dict.fromkeys(frames.FLAT), **cell}


def test_results_equal_the_json(ran: Project) -> None:
    frame = results_frame(tables(ran))
    assert values(frame) == list(flat(printed(ran)))
    assert set(frame["status"]) == {"ok", "missing"}
    done = frame[frame.status == "ok"]
    assert str(frame["seed"].dtype) == "Int64"
    assert done["value"].notna().all()


def test_means_equal_the_json(ran: Project) -> None:
    found = [
        {"setting": body["setting"], **mean}
        for body in printed(ran)
        for mean in body["means"]
    ]
    assert values(means_frame(tables(ran))) == found


def test_a_row_names_what_its_result_was_made_from(ran: Project) -> None:
    """The model that answered and its training rows, as their own records have them;
    of a result that is not there, what the plan knows."""
    with chdir(ran.root):
        store = Folder({}).store
        found = values(results_frame(tables(ran)))
        records = {one.key: one for one in store.records("model")}
        evals = {one.key: one for one in store.records("eval")}
    for row in found:
        digest = digest_bytes(
            (ran.root / f"datasets/{row['dataset']}.jsonl").read_bytes()
        )
        assert row["dataset_digest"] == digest
        if row["status"] == "ok":
            model, result = records[row["model_key"]], evals[row["key"]]
            assert row["model_id"] == model.output
            assert row["made"] == result.made["time"]
            assert (
                f"inspect_ai {result.made['versions']['inspect_ai']}" in row["versions"]
            )
        else:
            assert row["model_key"] not in records
            assert (row["model_id"], row["made"], row["versions"]) == (None, None, None)


def test_csv_has_the_rows_of_the_frame(ran: Project) -> None:
    out = doit_here(ran.root, "results", "done", "never", "--csv").out
    rows = list(csv.DictReader(io.StringIO(out)))
    wanted = [
        {name: "" if v is None else str(v) for name, v in row.items()}
        for row in flat(printed(ran))
    ]
    assert rows == wanted
    both = doit_here(ran.root, "results", "done", "--csv", "--json")
    assert (both.code, "ask for one" in both.err) == (3, True)


def test_no_setting_is_an_empty_frame_with_its_columns() -> None:
    assert list(results_frame([]).columns) == list(frames.FLAT)
    assert list(samples_frame([]).columns) == list(frames.SAMPLE)


def test_samples_are_flattened(monkeypatch: pytest.MonkeyPatch, ran: Project) -> None:
    """Of scores with one value, with several, and of a sample without any."""
    stage = tables(ran)[0].results[0].cell.stage
    score = {"value": 0.5, "answer": "a", "explanation": None}
    several = {"value": {"x": 1.0, "y": None}, "answer": None, "explanation": "why"}
    sample = {"epoch": 1, "target": "t", "messages": [{"role": "user"}], "error": None}
    shown = [
        {"id": 1, **sample, "scores": {"one": score, "judge": several}},
        {"id": 2, **sample, "error": "it fell", "scores": {}},
    ]
    monkeypatch.setattr(Transcripts, "read", lambda self, most=None: shown)
    monkeypatch.setattr(sample_rows, "as_json", dict)
    frame = samples_frame([Transcripts(stage, "ok", "")])
    first, second = values(frame)
    assert first["scores.one.value"] == 0.5
    assert first["scores.judge.value.x"] == 1.0
    assert first["scores.judge.explanation"] == "why"
    assert first["messages"] == [{"role": "user"}]
    assert second["error"] == "it fell"
    assert second["scores.one.value"] is None
    assert (second["stage"], second["key"]) == (stage.name, stage.key)


def test_without_pandas_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"pip install 'motools_build\[frames\]'"):
        results_frame([])


def test_pandas_is_imported_on_first_use(tmp_path: Path) -> None:
    code = "import sys, motools_build.report.frames; print('pandas' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout == "False\n"
