"""95 % confidence intervals of the difference between two groups of models that were
asked the same questions.

A group has one item for each seed; a base model is a group of one. The difference is
paired by question, since an easy question is easy for both; seeds of the two groups are
independent. The variance of the difference is two-way, by seed and by question, as that
of a mean (`intervals`). Each group takes its share of it into a Wilson interval of its
own, and the distances of these bounds from the means add up as squares (MOVER: Zou and
Donner 2008). So the interval stays within the bounds of the score and is as skewed as
the groups' own. Two single models with one yes-or-no answer to each question are
compared by Bonett and Price (2012).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from motools_build.report.intervals import (
    CONFIDENCE,
    Answers,
    Interval,
    Scale,
    by_question,
    independent,
    mean,
    parts,
    students_t,
    variance_of_mean,
    wilson,
)

STEPS = 40
"""Number of bisections that find a p value: to 12 digits."""


@dataclass(frozen=True)
class Side:
    """A group of models that is compared."""

    seeds: Sequence[Answers]
    """One item for each seed; one for a base model."""
    shown: float | None = None
    """The mean that is reported, if it is not that of the seeds' means over questions,
    as for `intervals.interval`."""
    copies: Sequence[int] = ()
    """The number of replicates that each item joins."""

    @property
    def scored(self) -> list[dict[Hashable, float]]:
        return [by_question(one) for one in self.seeds]

    @property
    def value(self) -> float:
        if self.shown is not None:
            return self.shown
        return mean([mean(list(one.values())) for one in self.scored])


@dataclass(frozen=True)
class Difference:
    """The difference of two groups' means: of the first less the second."""

    value: float
    low: float
    high: float
    p: float
    """The smallest level at which an interval of this kind excludes 0."""


def difference(first: Side, second: Side, scale: Scale) -> Difference | None:
    """The difference of two groups with its 95 % interval and p value. None if no
    interval can be given: for fewer than two questions that both answered, a model
    without scores, or an unbounded score that does not vary."""
    compared = _Compared.of(first, second, scale)
    if compared is None:
        return None
    within = compared.interval(CONFIDENCE)
    if within is None:
        return None
    return Difference(compared.value, within.low, within.high, compared.p())


def bounds_of_difference(first: Side, second: Side, scale: Scale) -> Interval | None:
    """The interval of `difference` alone, without the p value, which takes longer."""
    compared = _Compared.of(first, second, scale)
    return None if compared is None else compared.interval(CONFIDENCE)


@dataclass(frozen=True)
class _Compared:
    """Two groups with the variance of their difference."""

    values: tuple[float, float]
    """The groups' means."""
    answers: tuple[float, float]
    """The groups' numbers of answers, those of replicates counted as one."""
    scale: Scale
    variance: float
    freedom: float
    shares: tuple[float, float]
    """The part of the variance that each group's own interval takes."""
    pairs: tuple[int, int, int] | None
    """For two models with one yes-or-no answer a question: the number of questions, and
    of those that only the first and only the second answered with yes."""

    @classmethod
    def of(cls, first: Side, second: Side, scale: Scale) -> _Compared | None:
        a, b = first.scored, second.scored
        if not a or not b or not all(a) or not all(b):
            return None
        means = tuple(_of_questions(one) for one in (a, b))
        common = [question for question in means[0] if question in means[1]]
        if len(common) < 2:
            return None
        apart = [means[0][question] - means[1][question] for question in common]
        of_a, of_b = parts(a, means[0].keys()), parts(b, means[1].keys())
        seeds, questions = of_a.by_seed + of_b.by_seed, variance_of_mean(apart)
        both = seeds + questions - of_a.both - of_b.both
        variance = max(both, seeds, questions)
        sizes = [(of_a.by_seed, len(a)), (of_b.by_seed, len(b))]
        return cls(
            (first.value, second.value),
            (
                independent(first.seeds, first.copies),
                independent(second.seeds, second.copies),
            ),
            scale,
            variance,
            _freedom(sizes, seeds, questions, len(common)),
            (
                (variance * of_a.by_seed / seeds, variance * of_b.by_seed / seeds)
                if seeds > 0
                else (variance / 2, variance / 2)
            ),
            _pairs(first, second, common) if scale.yes_no else None,
        )

    @property
    def value(self) -> float:
        return self.values[0] - self.values[1]

    def interval(self, confidence: float) -> Interval | None:
        """The interval at this level; None if it has no width that can be known."""
        width = self.scale.high - self.scale.low
        if self.pairs is not None:
            found = _bonett_price(*self.pairs, confidence)
            return Interval(found.low * width, found.high * width)
        t, value = students_t(self.freedom, confidence), self.value
        if not self.scale.bounded:
            half = t * math.sqrt(self.variance)
            return Interval(value - half, value + half) if self.variance else None
        a, b = (self._own(group, t) for group in (0, 1))
        return Interval(
            value - width * math.hypot(a[0] - a[1], b[2] - b[0]),
            value + width * math.hypot(a[2] - a[0], b[0] - b[1]),
        )

    def _own(self, group: int, t: float) -> tuple[float, float, float]:
        """A group's mean and the bounds of its own interval, between 0 and 1."""
        width = self.scale.high - self.scale.low
        at = min(1.0, max(0.0, (self.values[group] - self.scale.low) / width))
        spread, answers = self.shares[group] / width**2, self.answers[group]
        return at, *wilson(at, spread, answers, t, capped=self.scale.yes_no)

    def p(self) -> float:
        """The p value, found by bisection of the level; 1 for no difference."""
        if self.value == 0:
            return 1.0
        low, high = 0.0, 1.0  # levels: the interval at `low` has 0, that at `high` not
        for _ in range(STEPS):
            level = (low + high) / 2
            within = self.interval(1 - level)
            if within is not None and within.low <= 0 <= within.high:
                low = level
            else:
                high = level
        return high


def holm(levels: Sequence[float]) -> list[float]:
    """The p values of several comparisons, adjusted so that the probability of any
    false finding among them is bounded (Holm 1979)."""
    order = sorted(range(len(levels)), key=lambda index: levels[index])
    adjusted, largest = [0.0] * len(levels), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, levels[index] * (len(levels) - rank)))
        adjusted[index] = largest
    return adjusted


def _of_questions(seeds: Sequence[Mapping[Hashable, float]]) -> dict[Hashable, float]:
    """Question -> its mean score over the seeds that scored it."""
    found: dict[Hashable, list[float]] = {}
    for one in seeds:
        for question, value in one.items():
            found.setdefault(question, []).append(value)
    return {question: mean(values) for question, values in found.items()}


def _freedom(
    sizes: Sequence[tuple[float, int]], seeds: float, questions: float, common: int
) -> float:
    """Degrees of freedom by Welch and Satterthwaite. `sizes` has each group's variance
    by seed and number of seeds. At least those of the smaller group of seeds."""
    several = [count for _, count in sizes if count > 1]
    least = max(1, min(several) - 1) if several else common - 1
    weights = sum(v * v / (count - 1) for v, count in sizes if count > 1)
    weights += questions * questions / (common - 1)
    if weights <= 0:
        return least
    return max((seeds + questions) ** 2 / weights, least)


def _pairs(
    first: Side, second: Side, common: Sequence[Hashable]
) -> tuple[int, int, int] | None:
    """The counts for Bonett and Price; None unless both sides are one model with one
    answer to each question."""
    if len(first.seeds) > 1 or len(second.seeds) > 1:
        return None
    a, b = first.seeds[0], second.seeds[0]
    if any(len(a[question]) > 1 or len(b[question]) > 1 for question in common):
        return None
    pairs = [(a[question][0], b[question][0]) for question in common]
    return (
        len(pairs),
        sum(one > other for one, other in pairs),
        sum(one < other for one, other in pairs),
    )


def _bonett_price(count: int, more: int, fewer: int, confidence: float) -> Interval:
    from scipy.special import ndtri  # imported late, as in `students_t`

    p, q = (more + 1) / (count + 2), (fewer + 1) / (count + 2)
    z = float(ndtri(1 - (1 - confidence) / 2))
    half = z * math.sqrt((p + q - (p - q) ** 2) / (count + 2))
    return Interval(max(-1.0, p - q - half), min(1.0, p - q + half))
