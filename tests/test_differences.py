"""Differences between groups of models: known values, a reference, and invariants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from motools_build.report.differences import Difference, Side, difference, holm
from motools_build.report.intervals import (
    PERCENT,
    SHARE,
    UNBOUNDED,
    YES_NO,
    Scale,
)


def side(*rows: Sequence[float]) -> Side:
    """One answer a question; NaN for an answer without a score."""
    return Side(
        [{q: [v] for q, v in enumerate(row) if not math.isnan(v)} for row in rows]
    )


def of(found: Difference | None) -> tuple[float, float, float]:
    assert found is not None
    return found.value, found.low, found.high


def test_two_models_are_compared_by_bonett_and_price() -> None:
    # 14 questions only the first, 3 only the second, 10 both, 5 none: by hand
    first, second = (
        [1] * 14 + [0] * 3 + [1] * 10 + [0] * 5,
        [0] * 14 + [1] * 13 + [0] * 5,
    )
    p, q = 15 / 34, 4 / 34
    half = 1.959964 * math.sqrt((p + q - (p - q) ** 2) / 34)
    found = of(difference(side(first), side(second), YES_NO))
    assert found == pytest.approx((11 / 32, p - q - half, p - q + half), abs=1e-6)


def test_all_against_none_is_not_certain() -> None:
    ones, zeros = [1.0] * 32, [0.0] * 32
    assert of(difference(side(ones), side(zeros), YES_NO))[1:] == (
        pytest.approx(0.8276, abs=5e-4),
        1.0,
    )
    value, low, high = of(difference(side(*[ones] * 3), side(*[zeros] * 3), YES_NO))
    assert value == high == 1
    assert 0.7 < low < 0.85


def test_of_one_question_nothing_is_claimed() -> None:
    assert difference(side([1]), side([0]), YES_NO) is None
    assert difference(Side([]), side([0, 1]), YES_NO) is None
    assert difference(side([1, math.nan]), side([math.nan, 1]), YES_NO) is None
    assert difference(side([2.0, 2.0]), side([1.0, 1.0]), UNBOUNDED) is None


def test_two_models_with_scores_are_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(300, 9, 20), rng.normal(295, 9, 20)
    found = difference(side(x), side(y), UNBOUNDED)
    theirs = stats.ttest_rel(x, y)
    assert found is not None
    within = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((within.low, within.high))
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-6)


def reference(a: Any, b: Any, scale: Scale) -> tuple[float, float, float]:
    """MOVER over the two-way variance, paired by question, in numpy: an array of seeds
    and questions for each group, NaN where there is no score."""
    a, b = np.atleast_2d(a), np.atleast_2d(b)
    width = (scale.high - scale.low) if scale.bounded else 1.0

    def two_way(v: Any) -> tuple[float, float, float]:
        count, many = v.shape
        if count == 1:
            return float(np.nanmean(v)), 0.0, 0.0
        of_seeds = np.nanmean(v, 1)
        left = v - of_seeds[:, None] - np.nanmean(v, 0) + np.nanmean(v)
        both = np.nansum(left**2) / ((count - 1) * (many - 1)) / (count * many)
        return float(of_seeds.mean()), of_seeds.var(ddof=1) / count, both

    (ma, va, ia), (mb, vb, ib) = two_way(a), two_way(b)
    d = np.nanmean(a, 0) - np.nanmean(b, 0)
    vq, vs = d.var(ddof=1) / len(d), va + vb
    v = max(vs + vq - ia - ib, vs, vq)
    least = min([len(x) for x in (a, b) if len(x) > 1] or [len(d)]) - 1
    weights = vq**2 / (len(d) - 1)
    weights += sum(x**2 / (len(y) - 1) for x, y in ((va, a), (vb, b)) if len(y) > 1)
    df = max((vs + vq) ** 2 / weights, least, 1) if weights > 0 else max(least, 1)
    t = stats.t.ppf(0.975, df)

    def own(m: float, share: float, answers: int) -> tuple[float, float]:
        p, w = (m - scale.low) / width, share / width**2
        n = p * (1 - p) / w if w > 0 and 0 < p < 1 else answers
        n = min(n, answers) if scale.yes_no else n
        middle = (p + t * t / (2 * n)) / (1 + t * t / n)
        half = t / (1 + t * t / n) * math.sqrt(p * (1 - p) / n + t * t / (4 * n * n))
        return scale.low + width * max(0, middle - half), scale.low + width * min(
            1, middle + half
        )

    sa, sb = (v * va / vs, v * vb / vs) if vs > 0 else (v / 2, v / 2)
    la, ha = own(ma, sa, int((~np.isnan(a)).sum()))
    lb, hb = own(mb, sb, int((~np.isnan(b)).sum()))
    value = ma - mb
    return value, value - np.hypot(ma - la, hb - mb), value + np.hypot(ha - ma, mb - lb)


@pytest.mark.parametrize("seeds", [(3, 3), (5, 2), (3, 1), (1, 10)])
@pytest.mark.parametrize("rates", [(0.5, 0.2), (0.02, 0.02), (0.97, 0.01)])
@pytest.mark.parametrize("scale", [YES_NO, SHARE, PERCENT])
def test_groups_are_as_the_reference_has_it(
    seeds: tuple[int, int], rates: tuple[float, float], scale: Scale
) -> None:
    rng = np.random.default_rng(1)
    drawn = [
        (rng.random((s, 24)) < p).astype(float)
        for s, p in zip(seeds, rates, strict=True)
    ]
    if not scale.yes_no:
        drawn = [np.clip(x * 0.8 + rng.random(x.shape) / 5, 0, 1) for x in drawn]
    drawn = [scale.low + (scale.high - scale.low) * x for x in drawn]
    max(drawn, key=len)[0, 3] = math.nan
    found = of(difference(side(*drawn[0]), side(*drawn[1]), scale))
    assert found == pytest.approx(reference(*drawn, scale), rel=1e-9, abs=1e-12)


rows = st.lists(
    st.lists(st.sampled_from([0.0, 1.0, 1.0, math.nan]), min_size=6, max_size=6),
    min_size=1,
    max_size=4,
)


@given(rows, rows)
def test_it_has_the_value_in_it_and_turns_with_the_groups(
    a: list[list[float]], b: list[list[float]]
) -> None:
    found = difference(side(*a), side(*b), YES_NO)
    turned = difference(side(*b), side(*a), YES_NO)
    if found is None:
        assert turned is None
        return
    assert turned is not None
    assert -1 <= found.low <= found.high <= 1
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert turned.p == pytest.approx(found.p, abs=1e-9)
    assert 0 <= found.p <= 1
    if abs(found.p - 0.05) > 1e-6 and found.value:
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)


def test_epochs_are_no_new_questions() -> None:
    many = Side([{q: [float(q % 2)] * 50 for q in range(8)}])
    few = Side([{q: [0.0] * 50 for q in range(8)}])
    _, low, high = of(difference(many, few, YES_NO))
    assert high - low > 0.3


def test_holm() -> None:
    # Holm's own procedure by hand: 0.01*4, 0.02*3, 0.03*2, then no smaller than before
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
