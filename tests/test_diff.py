"""What differs between two sets of results, as data and in a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from motools_build import Arm, Dataset, Eval, Setting, Training
from motools_build.planning.plan import plan
from motools_build.report.diff import Diff, View, diff
from motools_build.report.differences import Side, difference
from motools_build.report.drawing.diff import print_diff
from motools_build.report.intervals import YES_NO
from motools_build.report.results import Result
from tests.test_means import result
from tests.test_plan import resolve

QUESTIONS = 16


class Bench:
    def __init__(self, root: Path) -> None:
        self._folders = (root / str(number) for number in count())

    def view(
        self,
        label: str,
        rate: int | None,
        *,
        rows: str = "odd.jsonl",
        epochs: int = 3,
        seeds: Sequence[int] = (0, 1, 2),
        an_eval: str = "dummy/score",
        arm: str = "odd",
    ) -> View:
        """Results of one arm, whose models answer `rate` of 16 questions with yes; None
        for no results."""
        folder = next(self._folders)
        folder.mkdir()
        setting = Setting(
            description="",
            arms=[Arm(arm, datasets=[Dataset(rows, name="rows")])],
            models=["dummy/echo"],
            seeds=list(seeds),
            training=Training(epochs=epochs),
            controls=False,
            evals=[Eval(an_eval, name="score")],
        )

        def of(cell: object, seed: int) -> Result:
            scores = rate and [
                int((question + seed) % QUESTIONS < rate)
                for question in range(QUESTIONS)
            ]
            return result(cell, folder / str(seed), scores)

        cells = plan("s", setting, resolve).cells
        return View(label, [of(cell, cell.seed or 0) for cell in cells])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def fields(found: Diff) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(one.field, one.first, one.second) for one in found.inputs]


def test_rows_that_differ_and_a_result_that_moved(bench: Bench) -> None:
    first, second = bench.view("a", 2), bench.view("b", 14, rows="other.jsonl")
    found = diff(first, second)
    assert [field for field, *_ in fields(found)] == ["inputs.dataset"]
    (one,) = found.results
    sides = [
        Side(
            [
                {q: [float((q + seed) % QUESTIONS < rate)] for q in range(QUESTIONS)}
                for seed in range(3)
            ]
        )
        for rate in (14, 2)
    ]
    assert one.found == difference(*sides, YES_NO)
    assert (one.verdict, one.first.value, one.second.value) == (
        "moved",
        2 / 16,
        14 / 16,
    )


def test_a_field_of_the_training_and_more_seeds(bench: Bench) -> None:
    found = diff(bench.view("a", 4), bench.view("b", 5, epochs=4, seeds=(0, 1)))
    assert fields(found) == [
        ("seeds", ("0", "1", "2"), ("0", "1")),
        ("spec.epochs", ("3",), ("4",)),
    ]
    assert found.results[0].verdict == "within"


def test_the_same_artifacts_are_the_same(bench: Bench) -> None:
    found = diff(bench.view("a", 4), bench.view("b", 4))
    assert (found.inputs, found.results[0].verdict) == ((), "same")


def test_another_eval_is_not_paired(bench: Bench) -> None:
    """Its questions may have the numbers of others."""
    other = {"an_eval": "dummy/other"}
    far = diff(bench.view("a", 1), bench.view("b", 15, **other))  # type: ignore[arg-type]
    near = diff(bench.view("a", 7), bench.view("b", 8, **other))  # type: ignore[arg-type]
    assert [far.results[0].verdict, near.results[0].verdict] == ["apart", "overlap"]
    assert far.results[0].found is None
    assert {one.subject for one in far.inputs} == {"eval score"}


def test_what_one_alone_has_and_what_has_no_result(bench: Bench) -> None:
    first, second = bench.view("a", 4), bench.view("b", None, rows="other.jsonl")
    (one,) = diff(first, second).results
    assert (one.verdict, one.lost) == ("none", ("", "3 missing"))
    both = View("both", [*first.results, *bench.view("c", 4, arm="even").results])
    found = diff(both, first)
    assert found.alone == (("even, rows, dummy/echo",), ())
    assert found.as_json()["only in first"] == ["even, rows, dummy/echo"]


def test_arms_of_other_names_are_compared_if_each_is_alone(bench: Bench) -> None:
    second = bench.view("b", 14, rows="other.jsonl", arm="even")
    found = diff(bench.view("a", 2), second)
    assert [one.verdict for one in found.results] == ["moved"]
    assert found.alone == ((), ())


def test_what_is_printed(bench: Bench) -> None:
    second = bench.view("now", 14, rows="other.jsonl", epochs=4)
    found = diff(bench.view("run 3fa91c02", 2), second)
    out = io.StringIO()
    print_diff(found, out)
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["A  run 3fa91c02", "B  now"]
    (epochs,) = (line for line in lines if "spec.epochs" in line)
    cells = [cell.strip() for cell in epochs.split("│")]
    assert cells[1:-1] == ["odd, rows, dummy/echo", "spec.epochs", "3", "4"]
    assert "score judge mean: dummy/echo" in map(str.strip, lines)
    (moved,) = (line for line in lines if "+0.75" in line)
    assert [cell.strip() for cell in moved.split("│")][2:-1] == [
        "0.12 [0.02, 0.51]",
        "0.88 [0.49, 0.98]",
        "+0.75 [0.47, 0.87]",
        "moved",
    ]
    digests = [inputs.first[0][:8] for inputs in found.inputs[1:]]
    assert f"rows that differ: doit diff-data {digests[0]} " in out.getvalue()
    assert lines[-1] == "2 inputs differ, 1 result moved"
