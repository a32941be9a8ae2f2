"""95 % intervals of means of answers' scores, over seeds and over questions.

The claim of an interval is about new questions of the same kind and, where several
seeds were trained, about new seeds. So an answer counts for less than one: the variance
of the mean is two-way, of seeds and of questions (Cameron, Gelbach and Miller 2011);
the number of independent answers of the same variance (Kish) goes into Wilson's
interval (1927), which stays within the bounds of the score and has a width at 0 and at
1, with Student's t in the place of the normal quantile, as few seeds know their own
spread badly.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95

ROUNDING = 1e-12
"""Of a score's width: a smaller standard error is rounding, and values are the same."""

Answers = Mapping[Hashable, Sequence[float]]
"""Of one seed: question -> the scores of its answers; a question whose answers are all
unscored is not there, or has none."""


@dataclass(frozen=True)
class Scale:
    """What values a score can have."""

    low: float = -math.inf
    high: float = math.inf
    yes_no: bool = False
    """Whether there is nothing between its bounds."""

    @property
    def bounded(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)


YES_NO, SHARE, PERCENT = Scale(0.0, 1.0, True), Scale(0.0, 1.0), Scale(0.0, 100.0)
UNBOUNDED = Scale()


def scale_of(values: Iterable[float]) -> Scale:
    """The scale that values are seen to be on: nobody declares it. Scores that are all
    0 or 1 are yes or no; others between 0 and 1 are shares, between 0 and 100 a judge's
    points; any others have no bounds."""
    seen = set(values)
    if seen <= {0.0, 1.0}:
        return YES_NO
    if min(seen) < 0 or max(seen) > 100:
        return UNBOUNDED
    return SHARE if max(seen) <= 1 else PERCENT


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


def interval(
    seeds: Sequence[Answers],
    scale: Scale,
    shown: float | None = None,
    copies: Sequence[int] = (),
) -> Interval | None:
    """The 95 % interval of the mean of these models' scores.

    Of several seeds: over new seeds and questions. Of one: of this model alone, over
    new questions. None where nothing can be claimed: of one question, of a model
    without scores, and of a score without bounds that never varies.

    `shown` is the mean as it is told, where it is another one (weighted by answers).
    `copies` says how many replicates of its seed each item holds; they are not
    independent, and count as one.

    >>> round(interval([{q: [1.0] for q in range(32)}], YES_NO).low, 3)  # 32 of 32
    0.885
    """
    scored = [
        {question: mean(values) for question, values in one.items() if values}
        for one in seeds
    ]
    questions = dict.fromkeys(question for one in scored for question in one)
    if len(questions) < 2 or not all(scored):
        return None
    if shown is None:
        shown = mean([mean(list(one.values())) for one in scored])
    spread = _variance(scored, questions)
    width = scale.high - scale.low if scale.bounded else max(1.0, abs(shown))
    if spread < (ROUNDING * width) ** 2:
        spread = 0.0
    t = students_t((len(scored) if len(scored) > 1 else len(questions)) - 1)
    if not scale.bounded:
        half = t * math.sqrt(spread)
        return Interval(shown - half, shown + half) if spread else None
    answers = sum(
        sum(map(len, one.values())) / copy
        for one, copy in zip(seeds, copies or [1] * len(seeds), strict=True)
    )
    low, high = wilson(
        min(1.0, max(0.0, (shown - scale.low) / width)),
        spread / width**2,
        answers,
        t,
        capped=scale.yes_no,
    )
    return Interval(scale.low + width * low, scale.low + width * high)


def wilson(
    share: float, spread: float, answers: float, t: float, *, capped: bool
) -> tuple[float, float]:
    """Wilson's interval of a share at the number of independent answers that has this
    variance of it; of yes and no, never more than there are answers."""
    effective = answers
    if spread > 0 and 0 < share < 1:
        effective = share * (1 - share) / spread
        if capped:
            effective = min(effective, answers)
    square = t * t / effective
    middle = (share + square / 2) / (1 + square)
    within = share * (1 - share) / effective + square / (4 * effective)
    half = t / (1 + square) * math.sqrt(within)
    # at an end the sum is that end but for rounding
    low = 0.0 if share == 0 else max(0.0, middle - half)
    high = 1.0 if share == 1 else min(1.0, middle + half)
    return low, high


@functools.cache
def students_t(freedom: int) -> float:
    """Student's t of a two-sided 95 % interval."""
    from scipy.special import stdtrit  # late, and without scipy.stats: a fifth of it

    return float(stdtrit(freedom, 1 - (1 - CONFIDENCE) / 2))


def _variance(
    seeds: Sequence[Mapping[Hashable, float]], questions: Collection[Hashable]
) -> float:
    """The two-way variance of the mean; of one seed, that of the questions."""
    if len(seeds) == 1:
        return _of_mean(seeds[0].values())
    of_questions = {
        question: mean([one[question] for one in seeds if question in one])
        for question in questions
    }
    by_question = _of_mean(of_questions.values())
    of_seeds = [mean(list(one.values())) for one in seeds]
    by_seed = _of_mean(of_seeds)
    grand = mean([value for one in seeds for value in one.values()])
    residuals = math.fsum(
        (value - of_seed - of_questions[question] + grand) ** 2
        for one, of_seed in zip(seeds, of_seeds, strict=True)
        for question, value in one.items()
    )
    cells = len(seeds) * len(questions)
    freedom = (len(seeds) - 1) * (len(questions) - 1)
    # the variance within cells is in both of the others, and counts once
    both = by_seed + by_question - residuals / freedom / cells
    return max(both, by_seed, by_question)


def mean(values: Sequence[float]) -> float:
    """Of at least one value; `statistics.fmean`, but fast for one, which most are."""
    return values[0] if len(values) == 1 else math.fsum(values) / len(values)


def _of_mean(values: Collection[float]) -> float:
    """The variance of the mean of independent values."""
    count = len(values)
    middle = math.fsum(values) / count
    return math.fsum((value - middle) ** 2 for value in values) / (count - 1) / count
