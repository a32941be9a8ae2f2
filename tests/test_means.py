"""Metrics and their means over seeds: which have an interval, and what tables say."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from rich.console import Console

from motools_build import Dataset, Eval, Setting
from motools_build.keys import Key
from motools_build.planning.plan import plan
from motools_build.report.answers import read
from motools_build.report.copies import alike
from motools_build.report.drawing.results import notes, print_means
from motools_build.report.estimates import Estimate, Estimates, columns
from motools_build.report.intervals import PERCENT, YES_NO, interval
from motools_build.report.lineage import Lineage
from motools_build.report.means import Mean, means
from motools_build.report.results import Result
from motools_build.report.table import Row, table_of
from motools_build.store.records import Record
from tests.test_plan import resolve

Values = Sequence[Any]


def result(
    cell: Any,
    folder: Path,
    values: Values | None,
    epochs: int = 1,
    **metrics: Any,
) -> Result:
    """Of an eval with these values, one a question and epoch; None: it is missing."""
    if values is None:
        return Result(cell, "missing", None)
    numbers = [float(v) for v in values if isinstance(v, int | float)]
    scores = {"mean": fmean(numbers) if numbers else None, "stderr": 0.1}
    details = {"samples": len(values), "scores": {"judge": {**scores, **metrics}}}
    record = Record(*("eval", "dummy", Key("0"), {}, "", "", {}, {}), details=details)
    folder.mkdir()
    lines = (
        {"id": n // epochs, "epoch": n % epochs + 1, "scores": {"judge": value}}
        for n, value in enumerate(values)
    )
    (folder / "scores.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return Result(cell, "ok", record, folder=folder)


@pytest.fixture
def results(tmp_path: Path) -> Any:
    def make(values: dict[tuple[int, int], Values | None], **more: Any) -> list[Result]:
        """Results of one dataset by (seed, replicate)."""
        setting = Setting(
            description="",
            datasets=[Dataset("d.jsonl")],
            models=["dummy/echo"],
            seeds=sorted({seed for seed, _ in values}),
            replicates=1 + max(replicate for _, replicate in values),
            evals=[Eval("dummy/score")],
            controls=False,
        )
        return [
            result(
                cell,
                tmp_path / f"{cell.seed}-{cell.replicate}",
                values[cell.seed or 0, cell.replicate],
                **more,
            )
            for cell in plan("s", setting, resolve).cells
        ]

    return make


def of(found: list[Result]) -> list[Mean]:
    return list(means(found, Estimates(found)))


def one(found: list[Result], metric: str = "mean") -> Estimate:
    return Estimates(found).of(found[0], "judge", metric)


def bounds(found: Estimate) -> tuple[float | None, float | None]:
    return found.low, found.high


def printed(found: list[Result], width: int = 200, **more: Any) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, markup=False)
    print_means(table_of("s", found, **more), console)
    return stream.getvalue()


def test_a_seeds_replicates_count_as_one_value(results: Any) -> None:
    (mean,) = of(
        results({(0, 0): [0, 0], (0, 1): [0, 1], (1, 0): [1, 1], (1, 1): [1, 1]})
    )
    assert mean.column == ("score", "judge", "mean")
    assert mean.estimate.value == fmean([0.25, 1.0])
    assert (mean.seeds, mean.of, mean.status) == (2, 2, "ok")
    assert mean.estimate.count == "8/8"
    seeds: Any = [{0: [0, 0], 1: [0, 1]}, {0: [1, 1], 1: [1, 1]}]
    wanted = interval(seeds, YES_NO, copies=[2, 2])
    assert wanted is not None
    assert bounds(mean.estimate) == (wanted.low, wanted.high)
    told = mean.as_json()
    assert (told["mean"], told["value"]) == (0.625, 0.625)
    assert told["half"] == pytest.approx((told["high"] - told["low"]) / 2)


def test_a_seed_that_is_not_whole_is_in_no_mean(results: Any) -> None:
    found = results({(0, 0): [0, 0], (0, 1): None, (1, 0): [1, 0], (1, 1): [1, 0]})
    (mean,) = of(found)
    assert (mean.estimate.value, mean.seeds, mean.of) == (0.5, 1, 2)
    assert mean.status == "missing"
    assert "1 of 2 (this model)" in printed(found)


def test_an_arm_without_a_seed_is_a_row_that_says_why(results: Any) -> None:
    whole = results({(0, 0): [0, 1], (1, 0): [0, 1]})
    stale = [
        replace(r, cell=r.cell._replace(dataset="e"), status=status)
        for r, status in zip(whole, ("stale", "failed"), strict=True)
    ]
    both, lost = of([*whole, *stale])
    assert (both.status, both.seeds) == ("ok", 2)
    assert (lost.status, lost.seeds, lost.of) == ("1 stale, 1 failed", 0, 2)
    assert lost.estimate == Estimate()
    shown = printed([*whole, *stale])
    (row,) = [line for line in shown.splitlines() if "│ e " in line]
    assert "1 stale, 1 failed" in row
    assert "0 of 2" in row
    never = [replace(r, status="missing", record=None) for r in whole]
    (nothing,) = of(never)
    assert (nothing.column, nothing.status) == (("score", "", ""), "missing")
    assert nothing.as_json()["mean"] is None


def test_one_seed_needs_no_table(results: Any) -> None:
    assert printed(results({(0, 0): [0, 1]})) == ""


def test_a_table_can_be_cut_and_says_so(results: Any) -> None:
    found = results({(0, 0): [0, 1], (1, 0): [0, 1]})
    assert "│ d " in printed(found)
    cut = printed(found, most=0)
    assert "│ d " not in cut
    assert "... and 1 more" in cut


def test_all_of_32_is_not_certain(results: Any) -> None:
    assert str(one(results({(0, 0): [1] * 32}))) == "1.00 [0.88, 1.00]"
    shown = printed(results({(s, 0): [1] * 32 for s in (1, 2, 3)}))
    assert "1.00 [0.84, 1.00]" in shown
    assert "n 96/96" in shown
    assert "±" not in shown


def test_two_decimals_never_say_that_all_is_known() -> None:
    assert str(Estimate(1.0, 0.99961, 1.0)) == "1.0000 [0.9996, 1.0000]"
    assert str(Estimate(0.064, 0.0112, 0.4123)) == "0.06 [0.01, 0.41]"
    assert str(Estimate(-0.001, -0.2, 0.19)) == "0.00 [-0.20, 0.19]"
    assert str(Estimate(0.004)) == "0.004"
    assert str(Estimate(1.2909)) == "1.29"
    assert str(Estimate()) == "-"
    assert str(Estimate(2**60)) == str(2**60)


@pytest.mark.parametrize(
    ("values", "metrics"),
    [
        ([0, 1, 2, 3], {"std": 1.291, "var": 1.667}),
        ([0, 1, 2, 3], {"a": 1.0, "b": 2.0}),  # of groups of samples
        ([1, 0, 0, 0], {"var": 0.25}),  # equal to the mean by chance
        ([0, 0, 1, 1], {"accuracy": 0.9}),  # no mean, whatever it is called
        ([0, 0, 1, 1], {"hits": 0.5, "worst": "no"}),
    ],
)
def test_what_is_no_mean_of_scores_has_no_interval(
    results: Any, values: Values, metrics: dict[str, Any]
) -> None:
    found = results({(0, 0): values, (1, 0): values}, **metrics)
    assert None not in bounds(one(found))
    for metric in metrics:
        assert bounds(one(found, metric)) == (None, None)
    others = [mean for mean in of(found) if mean.column[2] != "mean"]
    assert len(others) == len(metrics)
    assert all(bounds(mean.estimate) == (None, None) for mean in others)


def test_one_question_is_said(results: Any) -> None:
    found = results({(0, 0): [0, 1] * 50, (1, 0): [1, 1] * 50}, epochs=100)
    assert str(one(found)) == "0.50 (one question)"
    assert "0.75 (one question)" in printed(found)


def test_what_has_no_number_is_not_scored(results: Any) -> None:
    found = results({(0, 0): [0, 1, None, 1, "?"], (1, 0): [0, 1, 1, 1, 1]})
    assert (one(found).count, one(found).value) == ("3/5", fmean([0, 1, 1]))
    assert Estimates(found).of(found[1], "judge", "mean").count == "5/5"


def test_what_a_record_counts_is_shown(results: Any) -> None:
    (found,) = results({(0, 0): [0, 1, 1]}, n=2.0, worst=None)
    counts = {"asked": 9, "scored": 3, "metrics": ["n"], "not_finite": {"worst": "inf"}}
    found.record.details["counts"] = {"judge": counts}
    assert [metric for *_, metric in columns([found])] == ["mean", "n", "worst"]
    assert one([found]).count == "3/9"
    assert str(one([found], "worst")) == "inf"
    assert str(one([found], "n")) == "2.00"


def test_a_scale_is_the_settings(results: Any) -> None:
    """A judge's points that are all 0 for one model are still points."""
    found = results({(0, 0): [0, 0, 0, 0], (1, 0): [90, 80, 70, 60]})
    wanted = interval([{n: [0.0] for n in range(4)}], PERCENT)
    assert wanted is not None
    assert bounds(one(found)) == (0.0, wanted.high)
    assert wanted.high > 50


def test_several_scores_of_a_scorer(tmp_path: Path, results: Any) -> None:
    (found,) = results({(0, 0): [0, 1]})
    rows = [
        {"id": n, "epoch": 1, "scores": {"judges": {"a": n, "b": "C"}, "x": None}}
        for n in range(3)
    ]
    (tmp_path / "0-0/scores.jsonl").write_text("\n".join(map(json.dumps, rows)))
    scores = {
        "a": {"mean": 1.0},
        "judges.b/max": {"accuracy": 1.0},
        "x": {"mean": None},
    }
    found.record.details["scores"] = scores
    estimates = Estimates([found])
    assert None not in bounds(estimates.of(found, "a", "mean"))
    assert str(estimates.of(found, "judges.b/max", "accuracy")) == "1.00 [0.14, 1.00]"
    assert estimates.of(found, "x", "mean").count == "0/3"
    assert len(columns([found])) == 3


def test_scores_that_are_not_there_or_not_whole(tmp_path: Path, results: Any) -> None:
    found = results({(0, 0): [0, 1], (1, 0): [0, 1]})
    (tmp_path / "0-0/scores.jsonl").unlink()  # of a record from before there were any
    (tmp_path / "1-0/scores.jsonl").write_text('{"id": 1, "scor')
    estimates = Estimates(found)
    (mean,) = means(found, estimates)
    assert (mean.estimate.value, *bounds(mean.estimate)) == (0.5, None, None)
    ((stage, problem),) = estimates.problems.items()
    assert stage == found[1].cell.stage.name
    assert "cannot be read" in problem
    (tmp_path / "1-0/scores.jsonl").write_text('{"id": 1, "scores": [1]}')
    with pytest.raises(ValueError, match="another form"):
        read(tmp_path / "1-0")


def test_json_says_the_interval_and_the_counts(results: Any) -> None:
    (found,) = results({(0, 0): [0, 1]})
    (told,) = Row.of(found, Estimates([found])).as_json()["estimates"]
    low, high = bounds(one([found]))
    assert told == {
        **{"scorer": "judge", "metric": "mean", "value": 0.5},
        **{"low": low, "high": high, "scored": 2, "asked": 2},
        **dict.fromkeys(("refused", "code", "incoherent", "failed")),
        **{"seeds": 1, "status": "ok"},
    }


def test_values_are_whole_at_80_columns(results: Any) -> None:
    found = results({(s, 0): [0, 1] * 16 for s in range(3)})
    for number in range(3):  # four columns
        for result in found:
            result.record.details["scores"][f"judge/{number}"] = {"mean": 0.5}
    interval = "0.50 [0.19, 0.81]"
    assert printed(found).count(interval) == 4
    narrow = printed(found, width=80)
    assert all(len(line.rstrip()) <= 80 for line in narrow.splitlines())
    values = [line for line in narrow.splitlines() if interval in line]
    assert len(values) == 4
    assert all("96/96" in line for line in values)
    assert "score judge/2 mean" in values[3]


def with_models(found: list[Result], models: Sequence[str]) -> list[Result]:
    made_from = [Lineage(model_key="key", model_id=name or None) for name in models]
    return [replace(one, lineage=of) for one, of in zip(found, made_from, strict=True)]


def test_seeds_of_one_model_count_as_one_and_are_told(results: Any) -> None:
    values = [1, 0, 1, 1, 0, 1, 1, 1]
    found = results({(seed, 0): values for seed in range(3)})
    copies = with_models(found, ["same"] * 3)
    (mean,) = of(copies)
    assert (mean.seeds, mean.of, mean.distinct) == (3, 3, 1)
    assert mean.as_json()["distinct"] == 1
    answers: Any = [{q: [v] * 3 for q, v in enumerate(values)}]
    alone = interval(answers, YES_NO, copies=[3])
    assert alone is not None
    assert bounds(mean.estimate) == (alone.low, alone.high)
    assert mean.copies == "3 seeds, 1 distinct model: equal weights count as one seed"
    assert "3 (1 distinct model)" in printed(copies)
    table = table_of("s", copies)
    assert [line for line in notes(table) if "distinct" in line] == [
        f"note     d, dummy/echo: {mean.copies}"
    ]


def test_copies_among_other_models_are_averaged_first(results: Any) -> None:
    found = results({(0, 0): [1, 1], (1, 0): [1, 1], (2, 0): [0, 1]})
    (mean,) = of(with_models(found, ["a", "a", "b"]))
    assert (mean.seeds, mean.distinct) == (3, 2)
    assert mean.estimate.value == fmean([1.0, 0.5])  # as replicates are
    (mean,) = of(found)  # models that are not known are no copies
    assert (mean.seeds, mean.distinct) == (3, 3)


def test_equal_scores_of_other_models_are_told_and_not_joined(results: Any) -> None:
    values = [1, 0, 1, 1]
    found = with_models(results({(seed, 0): values for seed in range(2)}), "ab")
    (mean,) = of(found)
    assert (mean.seeds, mean.distinct) == (2, 2)
    wanted = interval(seeds_of([values] * 2), YES_NO)
    assert wanted is not None
    assert bounds(mean.estimate) == (wanted.low, wanted.high)
    assert "2 seeds have the same scores (score judge mean)" in mean.copies


def test_models_that_answer_everything_correctly_are_not_told(tmp_path: Path) -> None:
    assert not alike(seeds_of([[1, 1, 1]] * 3))
    assert alike(seeds_of([[1, 0, 1]] * 3))
    assert not alike(seeds_of([[1, 0, 1], [1, 1, 0]]))
    assert not alike(seeds_of([[1, 0]]))


def seeds_of(rows: list[list[int]]) -> Any:
    return [{q: [float(v)] for q, v in enumerate(row)} for row in rows]
