"""Experiments drawn from a model of answers, and the width of their intervals.

A group has a rate; its seeds, the questions, and single answers vary around it, beta
distributed within the bounds of a score. The intervals are computed by the code that
computes those of results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motools_build.report.differences import Side, bounds_of_difference
from motools_build.report.intervals import YES_NO, Interval, Scale, interval, mean

if TYPE_CHECKING:
    import numpy

RATE, OF_SEEDS, OF_QUESTIONS, TOGETHER = 0.5, 0.1, 0.2, 0.1
"""What is assumed without results: the rate; and the standard deviations between seeds,
between questions, and between answers of one seed and question, in parts of the
score's range, at a rate in its middle. Near a bound they are smaller, as that of chance
is."""

SHARED = 0.7
"""Correlation of the questions' difficulty for two groups, as benchmarks/coverage.py
has it."""

DRAWS, FEWEST = 240, 16
"""Experiments drawn for a single seed; for more seeds fewer, since they vary less."""


@dataclass(frozen=True)
class Assumed:
    """How answers vary. Rates and deviations are parts of the score's range; of a score
    without bounds they are in its units."""

    scale: Scale = YES_NO
    rates: tuple[float, ...] = (RATE,)
    """The rate of a group, or of two groups that are compared."""
    of_seeds: float = OF_SEEDS
    of_questions: float = OF_QUESTIONS
    together: float = TOGETHER
    answers: int = 1
    """Answers to each question."""
    models: int = 0
    """Number of models whose results it is estimated from; 0 if all is assumed."""
    seeds_known: bool = False
    """Whether the deviation between seeds is estimated, which takes two seeds."""
    questions_known: bool = False
    """Whether that between questions is: from one model's single answers of yes or no,
    it cannot be told apart from chance."""

    def __str__(self) -> str:
        rates = " and ".join(f"{rate:.2f}" for rate in self.rates)
        answers = f", {self.answers} answers to each" if self.answers > 1 else ""
        source = f"from {self.models} models" if self.models else "assumed"
        of_questions, of_seeds = (
            " (assumed)" if self.models and not is_known else ""
            for is_known in (self.questions_known, self.seeds_known)
        )
        return (
            f"{source}: rate {rates}{answers}; standard deviation between questions "
            f"{self.of_questions:.2f}{of_questions}, between seeds "
            f"{self.of_seeds:.2f}{of_seeds}"
        )


def half_width(
    assumed: Assumed, seeds: int, questions: int, other_seeds: int = 1
) -> float | None:
    """The mean half-width of the 95 % interval, as a part of the score's range: of a
    mean, or of the difference if two rates are assumed, whose second group has
    `other_seeds`. None if half of the experiments or more would have no interval."""
    draws = max(FEWEST, DRAWS // seeds)
    drawn = _Drawn(assumed, questions)
    widths = []
    for _ in range(draws):
        within = drawn.interval(seeds, other_seeds)
        if within is not None:
            widths.append(within.high - within.low)
    scale = assumed.scale
    span = scale.high - scale.low if scale.bounded else 1.0
    return mean(widths) / 2 / span if 2 * len(widths) > draws else None


class _Drawn:
    """Experiments that are drawn with the same random numbers each time, so that two
    designs differ by their sizes alone."""

    def __init__(self, assumed: Assumed, questions: int) -> None:
        import numpy

        self._assumed, self._questions = assumed, questions
        self._random = numpy.random.default_rng(7)

    def interval(self, seeds: int, other_seeds: int) -> Interval | None:
        """The interval of one experiment."""
        shared = self._random.normal(size=self._questions)
        counts = (seeds, other_seeds)
        sides = [
            self._group(rate, count, shared)
            for rate, count in zip(self._assumed.rates, counts, strict=False)
        ]
        if len(sides) == 1:
            return interval(sides[0].seeds, self._assumed.scale)
        return bounds_of_difference(sides[0], sides[1], self._assumed.scale)

    def _group(self, rate: float, count: int, shared: Any) -> Side:
        """The answers of a group of models with this rate."""
        import numpy as np

        of, random = self._assumed, self._random
        own = random.normal(size=self._questions)
        difficulty = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
        both = float(np.hypot(of.of_questions, of.together))
        part = of.of_questions / both if both else 1.0
        single = random.normal(size=(count, self._questions))
        at = part * difficulty + np.sqrt(1 - part**2) * single
        of_seeds = _around(rate, of.of_seeds, random.normal(size=(count, 1)), of.scale)
        values = _around(of_seeds, both, at, of.scale)
        scores = self._scores(values)
        return Side([dict(enumerate(one)) for one in scores.tolist()])

    def _scores(self, values: numpy.ndarray) -> numpy.ndarray:
        """The scores of each seed's answers, by question."""
        import numpy as np

        scale, answers = self._assumed.scale, self._assumed.answers
        shape = (*values.shape, answers)
        if scale.yes_no:
            return (self._random.random(shape) < values[:, :, None]).astype(float)
        width = scale.high - scale.low if scale.bounded else 1.0
        low = scale.low if scale.bounded else 0.0
        return np.broadcast_to(low + width * values[:, :, None], shape)


def _around(middle: Any, deviation: float, at: Any, scale: Scale) -> Any:
    """Values with these means and this standard deviation, at normal quantiles: beta
    distributed within the bounds of a score, normal without."""
    import numpy as np
    from scipy.special import betaincinv, ndtr

    if not scale.bounded:
        return middle + deviation * at
    middle = np.clip(middle, 1e-6, 1 - 1e-6)
    most = middle * (1 - middle)
    variance = np.minimum(deviation**2, 0.9 * most)
    if deviation < 1e-6:
        return middle + 0 * at
    size = most / variance - 1
    return betaincinv(middle * size, (1 - middle) * size, ndtr(at))
