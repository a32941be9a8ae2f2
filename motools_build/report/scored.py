"""Scores of an eval's answers as data: by place, question and answer.

This module and those that it imports need the standard library alone: a bundle holds a
copy of them (`report.bundle`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from motools_build.report.intervals import mean

MEANS = ("mean", "accuracy")
"""Names of metrics that claim to be the mean of the answers' scores. Such a metric has
an interval only if its value equals that mean."""

Place = tuple[str, ...]
"""Place of a score in a line of the scores file: the scorer's name, followed by a key
if the scorer gives several values."""


@dataclass
class Scored:
    """The scores of an eval's answers at one place: by a scorer, or by one key of its
    values."""

    asked: int
    """Number of answers, scored or not."""
    answers: dict[Hashable, list[float]] = field(default_factory=dict)
    """Question -> the scores of its answers that have a finite number."""

    @property
    def scored(self) -> int:
        """Number of answers with a score."""
        return sum(map(len, self.answers.values()))

    def has_mean(self, number: float) -> bool:
        """Whether the number is the mean of these scores, taken over the questions'
        means or over all answers."""
        if not self.answers:
            return False
        of_all = [value for of_one in self.answers.values() for value in of_one]
        means = [mean(of_all)]
        if len(of_all) > len(self.answers):  # else both are the same
            means.append(mean([mean(of_one) for of_one in self.answers.values()]))
        return any(
            math.isclose(one, number, rel_tol=1e-9, abs_tol=1e-12) for one in means
        )


def of_column(found: Mapping[Place, Scored], scorer: str) -> list[Scored]:
    """The scores that a scorer's name in a record may mean. The name is a scorer's, or
    it names one key of the values, as `aligned` or `judge.aligned`; the name of an
    epochs reducer may follow, as in `judge/max`."""
    names = {scorer, scorer.rpartition("/")[0]}
    return [
        scored
        for place, scored in found.items()
        if names & {place[-1], ".".join(place)}
    ]


def together(replicates: Sequence[Scored]) -> dict[Hashable, list[float]]:
    """Question -> the scores of the answers of all replicates of a seed."""
    if len(replicates) == 1:  # without a copy, which counts with thousands of seeds
        return replicates[0].answers
    found: dict[Hashable, list[float]] = {}
    for one in replicates:
        for question, scores in one.answers.items():
            found.setdefault(question, []).extend(scores)
    return found
