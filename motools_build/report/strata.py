"""95 % confidence intervals of means over strata: groups of seeds whose trainings
differ, such as the datasets of an arm.

The mean is that of the strata's means, with equal weights. Its variance by seed is that
of independent strata; its variance by question is that of the questions' means over the
strata, which were all asked the same questions.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence

from motools_build.report.intervals import (
    ROUNDING,
    Answers,
    Interval,
    Scale,
    by_question,
    independent,
    interval,
    least_spread,
    mean,
    parts,
    students_t,
    variance_of_mean,
    wilson,
)

Seeds = Sequence[Mapping[Hashable, float]]
"""The scores of a stratum by question, one item for each seed."""


def stratified(
    strata: Sequence[Sequence[Answers]],
    scale: Scale,
    shown: float,
    copies: Sequence[Sequence[int]],
) -> Interval | None:
    """The 95 % interval of `shown`, the mean of the strata's means. `copies` is as for
    `interval`, for each stratum.

    It is over new questions and over new seeds of these strata; over questions only if
    no stratum has several seeds. The variance of a stratum's only seed is taken to be
    the mean of that of the other strata's seeds. None if no interval can be given, as
    for `interval`. Of one stratum, it is `interval`.
    """
    if len(strata) == 1:
        return interval(strata[0], scale, shown=shown, copies=copies[0])
    scored = [[by_question(one) for one in stratum] for stratum in strata]
    questions = dict.fromkeys(q for of in scored for one in of for q in one)
    if len(questions) < 2 or not all(all(of) for of in scored):
        return None
    spread, freedom = _spread(scored, questions)
    width = scale.high - scale.low if scale.bounded else max(1.0, abs(shown))
    if spread < (ROUNDING * width) ** 2:
        spread = 0.0
    several = any(len(of) > 1 for of in scored)
    if spread and scale.bounded and not scale.yes_no and not several:
        spread = max(spread, least_spread(shown, len(questions), scale))
    t = students_t(freedom)
    if not scale.bounded:
        half = t * math.sqrt(spread)
        return Interval(shown - half, shown + half) if spread else None
    answers = sum(map(independent, strata, copies))
    share = min(1.0, max(0.0, (shown - scale.low) / width))
    low, high = wilson(share, spread / width**2, answers, t, capped=scale.yes_no)
    return Interval(scale.low + width * low, scale.low + width * high)


def _spread(
    strata: Sequence[Seeds], questions: Collection[Hashable]
) -> tuple[float, float]:
    """The variance of the mean of the strata's means, and its degrees of freedom."""
    count = len(strata)
    of_each = [parts(of, {q: None for one in of for q in one}) for of in strata]
    of_questions = variance_of_mean(
        [mean(_of_strata(strata, question)) for question in questions]
    )
    # the variance of a single seed, by stratum, of those that show one
    known = {
        n: of_each[n].by_seed * len(of) for n, of in enumerate(strata) if len(of) > 1
    }
    if not known:
        return of_questions, len(questions) - 1
    usual = mean([*known.values()])
    by_seed = [known.get(n, usual) / len(of) / count**2 for n, of in enumerate(strata)]
    both = sum(one.both for one in of_each) / count**2
    of_seeds = math.fsum(by_seed)
    spread = max(of_seeds + of_questions - both, of_seeds, of_questions)
    return spread, _freedom(strata, by_seed, len(questions))


def _of_strata(strata: Sequence[Seeds], question: Hashable) -> list[float]:
    """The means of a question in the strata that have a score for it."""
    scores = ([one[question] for one in of if question in one] for of in strata)
    return [mean(values) for values in scores if values]


def _freedom(
    strata: Sequence[Seeds], by_seed: Sequence[float], questions: int
) -> float:
    """Degrees of freedom by Welch and Satterthwaite, of the strata with several seeds;
    at most half of those of the questions, as `intervals.freedom`."""
    several = [
        (variance, len(of) - 1)
        for variance, of in zip(by_seed, strata, strict=True)
        if len(of) > 1
    ]
    below = sum(variance**2 / free for variance, free in several)
    least = min(free for _, free in several)
    found = sum(v for v, _ in several) ** 2 / below if below > 0 else least
    return max(1.0, min(max(found, least), questions / 2 - 1))
