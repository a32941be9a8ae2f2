"""Intervals of means: known values, bounds, and how often they hold."""

from __future__ import annotations

import math
import random
from statistics import NormalDist, fmean

import pytest

from motools_build.report.intervals import (
    PERCENT,
    SHARE,
    UNBOUNDED,
    YES_NO,
    Interval,
    Scale,
    interval,
    scale_of,
    students_t,
    wilson,
)

Seeds = list[dict[int, list[float]]]


def seeds(*rows: list[float]) -> Seeds:
    """One answer a question."""
    return [{question: [value] for question, value in enumerate(row)} for row in rows]


def of(found: Interval | None) -> tuple[float, float]:
    assert found is not None
    return found.low, found.high


def test_students_t() -> None:
    known = {1: 12.7062, 2: 4.3027, 9: 2.2622, 31: 2.0395}  # of printed tables
    for freedom, t in known.items():
        assert students_t(freedom) == pytest.approx(t, abs=1e-4)


def test_wilson_is_the_textbooks() -> None:
    # 81 of 263 at 1.96: Newcombe 1998, table I
    low, high = wilson(81 / 263, 0.0, 263, 1.959964, capped=True)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(
    ("count", "end"), [(1, 0.115), (3, 0.162), (5, 0.046), (10, 0.016)]
)
def test_none_and_all_of_32_are_not_certain(count: int, end: float) -> None:
    none = interval(seeds(*[[0.0] * 32] * count), YES_NO)
    assert of(none) == (0.0, pytest.approx(end, abs=5e-4))
    every = interval(seeds(*[[1.0] * 32] * count), YES_NO)
    assert of(every) == (pytest.approx(1 - end, abs=5e-4), 1.0)


def test_one_seed_is_wilson_over_its_questions() -> None:
    # 8 of 32: the variance of the mean is p(1-p)/31, so that 31 answers count
    found = interval(seeds([1.0] * 8 + [0.0] * 24), YES_NO)
    assert of(found) == wilson(0.25, 0.0, 31, students_t(31), capped=True)


def test_answers_to_one_question_are_no_new_questions() -> None:
    epochs = [{q: [float(q % 2)] * 50 for q in range(8)}]
    answers = interval(epochs, YES_NO)
    assert of(answers) == of(interval(seeds([0.0, 1.0] * 4), YES_NO))


def test_of_one_question_nothing_is_claimed() -> None:
    assert interval([{0: [0.0, 1.0] * 50}], YES_NO) is None
    assert interval([{0: [0.0, 1.0]}, {0: [1.0, 1.0]}], YES_NO) is None
    assert interval([{}], YES_NO) is None
    assert interval([], YES_NO) is None


def test_seeds_that_differ_are_what_is_not_known() -> None:
    alike = interval(seeds(*[[0.0, 1.0] * 16] * 3), YES_NO)
    apart = interval(seeds([0.0] * 32, [0.0, 1.0] * 16, [1.0] * 32), YES_NO)
    assert of(apart)[1] - of(apart)[0] > 0.9 > of(alike)[1] - of(alike)[0]


def test_the_variance_is_two_way() -> None:
    # seed means 1, 2, 3: variance 1 / 3; question means 1, 3: variance 2 / 2; within
    # them nothing is left
    found = interval(seeds([0.0, 2.0], [1.0, 3.0], [2.0, 4.0]), UNBOUNDED)
    half = students_t(1) * math.sqrt(1 / 3 + 1)
    assert of(found) == (pytest.approx(2 - half), pytest.approx(2 + half))


def test_replicates_are_no_more_answers() -> None:
    once = seeds([1.0] * 32, [1.0] * 32)
    twice = [{q: [1.0, 1.0] for q in range(32)} for _ in range(2)]
    assert of(interval(twice, YES_NO, copies=[2, 2])) == of(interval(once, YES_NO))


def test_points_of_a_judge_stay_within_their_bounds() -> None:
    points = seeds([99.0, 100.0] * 8, [100.0, 95.0] * 8, [100.0] * 16)
    low, high = of(interval(points, PERCENT))
    assert 85 < low < 98.9 < high < 100
    shares = [{q: [v / 100 for v in vs] for q, vs in one.items()} for one in points]
    assert of(interval(shares, SHARE)) == (
        pytest.approx(low / 100),
        pytest.approx(high / 100),
    )


def test_values_that_never_vary_are_not_certain() -> None:
    assert interval(seeds([3.0] * 9, [3.0] * 9), UNBOUNDED) is None
    low, high = of(interval(seeds([0.1] * 9, [0.1] * 9, [0.1] * 9), SHARE))
    assert high - low > 0.1  # rounding is no variance


def test_a_scale_is_seen() -> None:
    seen: dict[Scale, list[list[float]]] = {
        YES_NO: [[], [0.0], [0.0, 1.0]],
        SHARE: [[0.5], [0.0, 0.2, 1.0]],
        PERCENT: [[0.0, 100.0], [2.0]],
        UNBOUNDED: [[-0.1], [0.0, 101.0]],
    }
    for scale, examples in seen.items():
        for values in examples:
            assert scale_of(values) == scale


def rate(mean: float, spread: float) -> float:
    """The mean of the logistic of a normal variable."""
    normal = NormalDist(mean, spread)
    points = (normal.inv_cdf((i + 0.5) / 400) for i in range(400))
    return fmean(1 / (1 + math.exp(-x)) for x in points)


@pytest.mark.parametrize(
    ("count", "questions", "epochs", "at", "of_seeds"),
    [(3, 32, 1, 0.0, 1.0), (5, 32, 1, -3.0, 0.5), (3, 8, 10, 1.0, 1.0)],
)
def test_they_hold_for_new_seeds_and_new_questions(
    count: int, questions: int, epochs: int, at: float, of_seeds: float
) -> None:
    """Of 300 experiments with seeds and questions that differ, 95 % should; the bound
    leaves chance a room of more than three standard errors."""
    draw = random.Random(7)
    truth = rate(at, math.sqrt(1 + of_seeds**2 + 0.25))
    held = 0
    for _ in range(300):
        asked = [draw.gauss(0, 1) for _ in range(questions)]
        trained: Seeds = []
        for seed in [draw.gauss(0, of_seeds) for _ in range(count)]:
            of_seed = {}
            for number, question in enumerate(asked):
                odds = at + seed + question + draw.gauss(0, 0.5)
                share = 1 / (1 + math.exp(-odds))
                of_seed[number] = [float(draw.random() < share) for _ in range(epochs)]
            trained.append(of_seed)
        low, high = of(interval(trained, YES_NO))
        held += low <= truth <= high
    assert held / 300 > 0.91


def test_points_of_one_model_near_a_bound_vary_at_least_a_little() -> None:
    # 31 of 32 answers at 1 point and one at 2: nobody knows the rare high ones
    rows = [[1.0] * 31 + [2.0]]
    p = fmean(rows[0]) / 100
    least = 0.1 * p * (1 - p) * (1 - 2 * p) ** 2 / 32
    low, high = wilson(p, least, 32, students_t(31), capped=False)
    assert of(interval(seeds(*rows), PERCENT)) == pytest.approx((100 * low, 100 * high))
    # in the middle of the scale, scores may be alike without being skewed
    rows = [[50.0] * 31 + [51.0]]
    low, high = of(interval(seeds(*rows), PERCENT))
    assert high - low < 0.2
