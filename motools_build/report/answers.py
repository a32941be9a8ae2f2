"""The scores of an eval's answers, one by one, read from its payload."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from motools_build.backends.inspect.outcome import SCORES
from motools_build.backends.inspect.scores import number
from motools_build.report.intervals import mean
from motools_build.store.files import read_small

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


def read(folder: Path) -> dict[Place, Scored]:
    """Place -> scores, from the scores file of an eval's folder; empty if it is absent.

    Raises ValueError if the file does not have the format that an eval writes.
    """
    try:
        lines = read_small(f"{folder}/{SCORES}").splitlines()
    except FileNotFoundError:
        return {}
    found: dict[Place, Scored] = {}
    asked = len(lines)
    try:
        # parsed in one call, which is faster: a setting may have thousands of files
        for row in from_json(b"[%s]" % b",".join(lines)):
            question = row["id"]
            for scorer, value in row["scores"].items():
                if type(value) is float and isfinite(value):
                    # the most frequent case, without a call for each answer
                    of_place = found.get((scorer,))
                    if of_place is None:
                        of_place = found[scorer,] = Scored(asked)
                    of_question = of_place.answers.get(question)
                    if of_question is None:
                        of_place.answers[question] = [value]
                    else:
                        of_question.append(value)
                elif isinstance(value, dict):
                    for key, inner in value.items():
                        _add(found, (scorer, key), question, inner, asked)
                else:
                    _add(found, (scorer,), question, value, asked)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder / SCORES} has a line of another form") from error
    return found


def _add(
    found: dict[Place, Scored], place: Place, question: Hashable, value: Any, asked: int
) -> None:
    """Add an answer's score at a place; of a score that is no finite number, the place
    alone."""
    of_place = found.get(place)
    if of_place is None:
        of_place = found[place] = Scored(asked)
    score = value if type(value) is float else number(value)
    if score is None or not math.isfinite(score):
        return
    of_question = of_place.answers.get(question)
    if of_question is None:
        of_place.answers[question] = [score]
    else:
        of_question.append(score)


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
