"""The scores of an eval's answers, one by one, read from its payload."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motools_build.backends.inspect.outcome import SCORES
from motools_build.backends.inspect.scores import number
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
        of_questions = [mean(of_one) for of_one in self.answers.values()]
        return any(
            math.isclose(mean(values), number, rel_tol=1e-9, abs_tol=1e-12)
            for values in (of_questions, of_all)
        )


def read(folder: Path) -> dict[Place, Scored]:
    """Place -> scores, from the scores file of an eval's folder; empty if it is absent.

    Raises ValueError if the file does not have the format that an eval writes.
    """
    try:
        lines = (folder / SCORES).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    found: dict[Place, Scored] = {}
    try:
        # parsed in one call, which is faster: a setting may have thousands of files
        for row in json.loads(b"[%s]" % b",".join(lines)):
            question = row["id"]
            for place, value in _places(row["scores"]):
                of_place = found.get(place)
                if of_place is None:
                    of_place = found[place] = Scored(len(lines))
                score = number(value)
                if score is not None and math.isfinite(score):
                    of_place.answers.setdefault(question, []).append(score)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder / SCORES} has a line of another form") from error
    return found


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


def _places(scores: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    for scorer, value in scores.items():
        if isinstance(value, dict):
            for key, inner in value.items():
                yield (scorer, key), inner
        else:
            yield (scorer,), value
