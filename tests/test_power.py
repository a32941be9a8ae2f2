"""Expected widths of intervals: as those of results, from what results say."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import numpy as np
import pytest

from motools_build import Contrast
from motools_build.report.differences import Side, difference
from motools_build.report.drawn import Assumed, half_width
from motools_build.report.intervals import (
    PERCENT,
    UNBOUNDED,
    YES_NO,
    Answers,
    Scale,
    interval,
)
from motools_build.report.power import designs
from motools_build.report.spread import spread
from tests.conftest import Project
from tests.lab import BASE, TASK, Lab
from tests.test_comparisons import found

__all__ = ["found"]  # a fixture

LOGIT = 1.0 / (0.5 * 0.5)
"""The logistic scale's units in one of shares, in the middle."""


def drawn(
    random: Any, seeds: int, questions: int, scale: Scale, answers: int = 1
) -> list[Answers]:
    """Answers of a group from a model that is not that of `drawn`: normal on the scale
    of the odds; between seeds 0.08 and between questions 0.15 in shares."""
    odds = 0.15 * LOGIT * random.normal(size=(1, questions))
    odds = odds + 0.08 * LOGIT * random.normal(size=(seeds, 1))
    shares = (1 / (1 + np.exp(-odds)))[:, :, None]
    shape = (seeds, questions, answers)
    if scale.yes_no:
        scores = (random.random(shape) < shares).astype(float)
    else:
        scores = 100 * np.clip(shares + random.normal(0, 0.1, shape), 0, 1)
    return [dict(enumerate(one)) for one in scores.tolist()]


def deviations(sides: list[Side], scale: Scale) -> dict[str, float | None]:
    """The deviations of seeds, questions and cells in shares, over many experiments."""
    width = scale.high - scale.low
    every = [found for side in sides if (found := spread(side, scale))]
    return {
        name: None
        if getattr(every[0], name) is None
        else float(np.mean([getattr(one, name) for one in every])) ** 0.5 / width
        for name in ("of_seeds", "of_questions", "together")
    }


@pytest.mark.parametrize("scale", [YES_NO, PERCENT])
@pytest.mark.parametrize("answers", [1, 4])
def test_deviations_are_found_again(scale: Scale, answers: int) -> None:
    random = np.random.default_rng(3)
    sides = [Side(drawn(random, 5, 60, scale, answers)) for _ in range(60)]
    told = deviations(sides, scale)
    assert told["of_seeds"] == pytest.approx(0.08, rel=0.25)
    assert told["of_questions"] == pytest.approx(0.15, rel=0.25)
    assert told["together"] is not None
    if scale is PERCENT and answers == 1:
        assert told["together"] == pytest.approx(0.1, rel=0.25)


def test_of_one_model_seeds_are_not_known() -> None:
    random = np.random.default_rng(3)
    sides = [Side(drawn(random, 1, 60, YES_NO)) for _ in range(5)]
    assert deviations(sides, YES_NO) == {
        "of_seeds": None,
        "of_questions": None,
        "together": None,
    }
    told = deviations(
        [Side(drawn(random, 1, 60, YES_NO, 9)) for _ in range(60)], YES_NO
    )
    assert told["of_questions"] == pytest.approx(0.15, rel=0.3)


@pytest.mark.parametrize(("seeds", "questions"), [(1, 60), (3, 30), (5, 60), (8, 30)])
@pytest.mark.parametrize("scale", [YES_NO, PERCENT])
def test_the_widths_are_those_of_results(
    seeds: int, questions: int, scale: Scale
) -> None:
    random = np.random.default_rng(11)
    of_means, of_differences = [], []
    for _ in range(80):
        first, second = (drawn(random, seeds, questions, scale) for _ in range(2))
        within = interval(first, scale)
        assert within is not None
        of_means.append(within.high - within.low)
        two = difference(Side(first), Side(second), scale)
        assert two is not None
        of_differences.append(two.high - two.low)
    span = scale.high - scale.low
    together = 0.0 if scale.yes_no else 0.1
    assumed = Assumed(scale, (0.5,), 0.08, 0.15, together)
    mean = half_width(assumed, seeds, questions)
    assert mean == pytest.approx(np.mean(of_means) / 2 / span, rel=0.15)
    both = Assumed(scale, (0.5, 0.5), 0.08, 0.15, together)
    apart = half_width(both, seeds, questions, seeds)
    # questions are shared here, as in `drawn`, but not to the same part
    assert apart == pytest.approx(np.mean(of_differences) / 2 / span, rel=0.25)


@pytest.mark.parametrize("scale", [YES_NO, PERCENT, UNBOUNDED])
def test_more_is_narrower(scale: Scale) -> None:
    rates = (3.0,) if scale is UNBOUNDED else (0.3,)
    assumed = Assumed(scale, rates, 0.1, 0.2, 0.1)
    by_seeds = [half_width(assumed, seeds, 40) or 0 for seeds in (2, 3, 5, 10, 20)]
    assert by_seeds == sorted(by_seeds, reverse=True)
    by_questions = [half_width(assumed, 1, many) or 0 for many in (8, 40, 200)]
    assert by_questions == sorted(by_questions, reverse=True)
    assert half_width(assumed, 1, 1) is None


def test_a_setting_with_results(found: Any) -> None:
    limits = {"score": None}
    mean, apart = designs("s", found(), None, limits)
    assert (mean.what, apart.what) == ("mean", "difference")
    assert mean.column == ("score", "judge", "mean")
    assert (mean.now, mean.questions) == (8, (4, 8, 16, 32))
    assert mean.assumed.models == 7
    assert "(assumed)" not in str(mean.assumed)
    assert mean.assumed.rates == pytest.approx([(2 / 8 * 24 + 1) / 26])
    primary = Contrast("odd", "base", eval="score", metric="mean")
    (of_base,) = designs("s", found(), primary, limits)
    assert (of_base.named, of_base.of_base) == ("odd less base", True)
    assert len(of_base.assumed.rates) == 2
    unknown = primary.model_copy(update={"metric": "other"})
    assert [one.what for one in designs("s", found(), unknown, limits)] == [
        "mean",
        "difference",
    ]
    enough = list(mean.enough(0.3))
    for seeds, questions in enough:
        assert (mean.halves[seeds, questions] or 1) <= 0.3
        fewer = [n for n in mean.seeds if n < seeds]
        assert all((mean.halves[n, questions] or 1) > 0.3 for n in fewer)
    assert {questions for _, questions in enough} == {8, 16, 32}
    assert list(mean.enough(1e-9)) == []


class TestCommand:
    def told(self, project: Project, *words: str) -> dict[str, Any]:
        out = project.doit("power", "tiny", "--format", "json", *words).out
        found: dict[str, Any] = json.loads(out)
        return found

    def test_without_results(self, tiny: Project) -> None:
        tiny.setting("tiny", seeds="[0, 1, 2, 3]")
        found = self.told(tiny, "--half=0.2")
        (one,) = found["designs"]
        assert one["assumed"].startswith("assumed: rate 0.50")
        assert {row["questions"] for row in one["expected"]} == {32, 100, 300}
        assert {row["seconds"] for row in one["expected"]} == {None}
        assert one["enough"][0] == {"seeds": 1, "questions": 32}
        out = tiny.doit("power", "tiny", "--half=0.2").out
        assert "4 (now)" in out
        assert "* 0.2 or less: 1 seeds x 32 questions" in out
        assert tiny.tree() == {}

    def test_with_results(self, tiny: Project) -> None:
        tiny.write("zoo/evals/asked.py", TASK.replace("range(2)", "range(6)"))
        tiny.setting("tiny", evals='[Eval("zoo/evals/asked.py@ask")]')
        tiny.doit("run", "tiny")
        (one,) = self.told(tiny)["designs"]
        told = one["expected"]
        assert one["assumed"].startswith("from 2 models: rate 0.")
        # one seed, and one answer to each question: neither can be told from chance
        assert one["assumed"].count("(assumed)") == 2
        assert {row["questions"] for row in told} == {3, 6, 12, 24}
        out = tiny.doit("power", "tiny", "--format=csv").out
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [row["half"] for row in rows] == [str(row["half"]) for row in told]
        out = tiny.doit("power", "tiny").out
        for row in told:
            assert f"{row['half']:.2g}" in out
        seconds = {row["seeds"]: row["seconds"] for row in told}
        assert seconds[1] == 0
        assert seconds[3] == pytest.approx(2 * seconds[2])
        assert {row["cost"] for row in told} == {0}

    def test_what_cannot_be_asked(self, tiny: Project) -> None:
        for half in ("x", "0", "0.6", "nan", "-1"):
            said = tiny.doit("power", "tiny", f"--half={half}", code=3).err
            assert f"--half={half}: write a number" in said
        assert "no setting" in tiny.doit("power", "model:tiny/*", code=3).err
        tiny.setting("tiny", train="False", datasets="[]", seeds="[0]")
        assert "trains nothing" in tiny.doit("power", "tiny", code=3).err
        tiny.setting("tiny", evals="[]")
        assert "no evals" in tiny.doit("power", "tiny", code=3).err

    def test_a_metric_that_is_not_there(self, tiny: Project) -> None:
        file = tiny.setting(
            "tiny", primary='Contrast("tiny", "base", eval="score", metric="no")'
        )
        file.write_text(file.read_text().replace("import ", "import Contrast, ", 1))
        assert "no result yet" not in tiny.doit("power", "tiny").out
        tiny.doit("run", "tiny")
        assert "has no result yet: score no" in tiny.doit("power", "tiny").out


def test_the_cost_of_paid_seeds(lab: Lab) -> None:
    lab.setting(controls="False", evals="[]")
    tokens = lab.plan()[f"model:tutor/tutor/{BASE}/seed0"]["tokens"]
    lab.tool(f'[tool.motools_build.prices]\n"{BASE}" = {{training = {1e6 / tokens}}}')
    lab.setting(controls="False")
    out = lab.doit("power", "tutor", "--format=json").out
    (one,) = json.loads(out)["designs"]
    costs = {row["seeds"]: row["cost"] for row in one["expected"]}
    assert costs.pop(1) is None  # fewer seeds than there are
    assert costs == pytest.approx({seeds: seeds for seeds in costs})
    assert re.search(r" 8 │.* ~\$8.00 │", lab.doit("power", "tutor").out)
    assert lab.created() == 0
