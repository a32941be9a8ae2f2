"""Differences between the groups of a setting, as data, in a table and as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from motools_build import Arm, Dataset, Eval, Setting
from motools_build.planning.plan import plan
from motools_build.report.comparisons import (
    COMPARISON,
    Compared,
    Comparison,
    comparisons,
    not_compared,
)
from motools_build.report.differences import Side, difference, holm
from motools_build.report.drawing.csv import csv_of
from motools_build.report.drawing.differences import print_differences
from motools_build.report.drawing.results import print_results
from motools_build.report.drawing.written import differences_written, written
from motools_build.report.estimates import Estimates
from motools_build.report.intervals import YES_NO
from motools_build.report.results import Result
from motools_build.report.table import table_of
from tests.conftest import Project
from tests.test_means import result
from tests.test_plan import resolve

RATES = {"odd": 7, "plain": 2, "": 1}
"""Arm -> questions of 8 that its models answer with yes; the base model has none."""

Found = Callable[..., list[Result]]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """The results of two arms with three seeds, and of the base model."""

    folders = (tmp_path / str(number) for number in count())

    def make(missing: tuple[str, ...] = ()) -> list[Result]:
        folder = next(folders)
        folder.mkdir()
        setting = Setting(
            description="",
            arms=[
                Arm("odd", datasets=[Dataset("odd.jsonl")]),
                Arm("plain", datasets=[Dataset("plain.jsonl")]),
            ],
            models=["dummy/echo"],
            seeds=[0, 1, 2],
            evals=[Eval("dummy/score")],
        )
        return [
            result(
                cell,
                folder / f"{cell.arm}-{cell.seed}",
                None
                if f"{cell.arm}-{cell.seed}" in missing
                else [
                    int((q + (cell.seed or 0)) % 8 < RATES[cell.arm]) for q in range(8)
                ],
            )
            for cell in plan("s", setting, resolve).cells
        ]

    return make


def of(results: list[Result]) -> list[Comparison]:
    return comparisons(results, Estimates(results))


def named(one: Comparison) -> tuple[str, str]:
    return one.first[0], one.second[0]


def test_each_group_is_compared_with_the_others_and_the_base(found: Found) -> None:
    told = of(found())
    assert [named(one) for one in told] == [
        ("plain", "odd"),
        ("odd", ""),
        ("plain", ""),
    ]
    assert [one.found.value for one in told] == [-5 / 8, 6 / 8, 1 / 8]
    assert [(one.seeds, one.other_seeds) for one in told] == [(3, 3), (3, 1), (3, 1)]
    sides = [
        Side(
            [
                {q: [float((q + seed) % 8 < RATES[arm])] for q in range(8)}
                for seed in seeds
            ]
        )
        for arm, seeds in (("plain", range(3)), ("odd", range(3)))
    ]
    assert told[0].found == difference(*sides, YES_NO)
    assert [one.adjusted for one in told] == holm([one.found.p for one in told])


def test_a_seed_without_a_result_is_left_out_and_a_group_without_any(
    found: Found,
) -> None:
    told = of(found(missing=("odd-1",)))
    assert [(one.seeds, one.other_seeds) for one in told] == [(3, 2), (2, 1), (3, 1)]
    assert [(one.of, one.other_of) for one in told] == [(3, 3), (3, 1), (3, 1)]
    assert "odd, odd (2 of 3 seeds)" in printed(told)
    assert "not compared" not in printed(told, not_compared(found(("odd-1",))))
    missing = ("plain-0", "plain-1", "plain-2", "-None")
    lost = not_compared(found(missing))
    assert [group[:2] for _, group in lost] == [("plain", "plain"), ("", "base")]
    text = printed(of(found(missing)), lost)
    assert "nothing to compare" in text
    assert "without a result: plain, plain, dummy/echo: score judge mean" in text
    assert "without a result: base, dummy/echo: score judge mean" in text
    missing = missing[:3]
    assert [named(one) for one in of(found(missing))] == [("odd", "")]


def printed(told: list[Comparison], *lost: Any) -> str:
    stream = io.StringIO()
    print_differences(Compared("s", told, *lost), stream)
    return stream.getvalue()


def test_arms_of_one_dataset_have_the_same_models(tmp_path: Path) -> None:
    setting = Setting(
        description="",
        arms=[
            Arm("one", datasets=[Dataset("same.jsonl")]),
            Arm("other", datasets=[Dataset("same.jsonl")]),
        ],
        models=["dummy/echo"],
        seeds=[0, 1],
        evals=[Eval("dummy/score")],
    )
    results = [
        result(cell, tmp_path / str(number), [1, 0, (cell.seed or 0)])
        for number, cell in enumerate(plan("s", setting, resolve).cells)
    ]
    assert [named(one) for one in of(results)] == [("one", ""), ("other", "")]


def test_json_and_csv_and_the_table_have_the_same_numbers(found: Found) -> None:
    told = of(found())
    rows = list(
        csv.DictReader(
            io.StringIO(csv_of(("setting", *COMPARISON), Compared("s", told).flat()))
        )
    )
    assert list(rows[0]) == ["setting", *COMPARISON]
    body: list[dict[str, Any]] = json.loads(json.dumps([one.as_json() for one in told]))
    for row, one in zip(rows, body, strict=True):
        assert {name: row[name] for name in COMPARISON} == {
            name: str(value) for name, value in one.items()
        }
    stream = io.StringIO()
    print_differences(Compared("s", told), stream)
    for one in told:
        assert one.shown in stream.getvalue()
    assert "plain, plain (3 seeds)" in stream.getvalue()


def test_the_command(project: Project) -> None:
    project.dataset("demo")
    project.setting("demo", seeds="[0, 1]")
    assert "nothing to compare" in project.doit("results", "demo", "--differences").out
    told = json.loads(project.doit("results", "demo", "--differences", "--json").out)
    assert told == {"setting": "demo", "differences": []}
    head = project.doit("results", "demo", "--differences", "--csv").out
    assert head.strip() == ",".join(["setting", *COMPARISON])


def numbers(text: str) -> list[str]:
    """Every number of a text that has decimals, in order."""
    return re.findall(r"-?\d+\.\d+", text)


@pytest.mark.parametrize("form", ["md", "latex"])
def test_papers_have_the_numbers_of_the_terminal(found: Found, form: str) -> None:
    results = found(missing=("odd-1",))
    stream = io.StringIO()
    print_results(table_of("s", results), stream, "")
    text = written(table_of("s", results), form)
    assert numbers(text) == numbers(stream.getvalue())
    assert "missing" in text
    told = of(results)
    stream = io.StringIO()
    print_differences(Compared("s", told), stream)
    text = differences_written(Compared("s", told), form)
    assert numbers(text) == numbers(stream.getvalue())


def test_cells_are_escaped(found: Found) -> None:
    results = found()
    for one in results:
        assert one.record is not None
        scores = one.record.details["scores"]
        scores["a|b_%"] = scores.pop("judge")
    table = table_of("s", results)
    assert "a\\|b_%" in written(table, "md")
    assert "a|b\\_\\%" in written(table, "latex")


def test_the_forms_of_the_command(project: Project) -> None:
    project.dataset("demo")
    project.setting("demo", seeds="[0, 1]")
    project.doit("run", "demo")
    forms = {
        form: project.doit("results", "demo", f"--format={form}").out
        for form in ("table", "csv", "json", "md", "latex")
    }
    assert forms["json"] == project.doit("results", "demo", "--json").out
    assert forms["csv"] == project.doit("results", "demo", "--csv").out
    assert forms["table"] == project.doit("results", "demo").out
    assert forms["md"].startswith("**demo: dummy/echo**\n\n| dataset ")
    assert "\\begin{tabular}" in forms["latex"]
    ran = project.doit("results", "demo", "--csv", "--format=md", code=3)
    assert "csv and md are two forms; ask for one" in ran.err
    ran = project.doit("results", "demo", "--format=html", code=3)
    assert "'html' but available choices are: 'table', 'csv'" in ran.err
