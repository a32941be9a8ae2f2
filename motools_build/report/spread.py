"""How much a group's scores vary between seeds, between questions, and by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motools_build.report.differences import Side
from motools_build.report.intervals import Scale, mean, parts


@dataclass(frozen=True)
class Spread:
    """Variances of a group's scores, in squared units; None where they cannot be told
    apart from each other."""

    of_seeds: float | None = None
    of_questions: float | None = None
    together: float | None = None


def spread(side: Side, scale: Scale) -> Spread | None:
    """The variances by the method of moments."""
    scored = side.scored
    questions = dict.fromkeys(question for one in scored for question in one)
    if len(questions) < 2 or not all(scored):
        return None
    count, number = len(questions), len(scored)
    repeated = [a for one in side.seeds for a in one.values() if len(a) > 1]
    within = mean([_variance(a) / len(a) for a in repeated]) if repeated else None
    found = parts(scored, questions)
    if number == 1:
        if within is None and scale.yes_no:
            return Spread()  # questions and chance cannot be told apart
        return Spread(None, max(0.0, found.by_question * count - (within or 0.0)))
    left = found.both * number * count
    return Spread(
        max(0.0, found.by_seed * number - left / count),
        max(0.0, found.by_question * count - left / number),
        # a single yes or no varies by chance, which the drawing adds again
        max(0.0, left - within)
        if within is not None
        else 0.0
        if scale.yes_no
        else left,
    )


def _variance(values: Sequence[float]) -> float:
    middle = mean(values)
    return sum((value - middle) ** 2 for value in values) / (len(values) - 1)
