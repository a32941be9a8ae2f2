"""The scores of an eval's single answers, from its payload."""

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
"""Metrics whose name says that they are the mean of the answers' scores. One has an
interval only if its number is that mean, too."""

Place = tuple[str, ...]
"""Where a score stands in a line of scores: the scorer's name, or the scorer's and a
key of its several values."""


@dataclass
class Scored:
    """The scores that one scorer, or one of its several values, gave an eval's
    answers."""

    asked: int
    """How many answers there are, whether scored or not."""
    answers: dict[Hashable, list[float]] = field(default_factory=dict)
    """Question -> the scores of its answers."""

    @property
    def scored(self) -> int:
        return sum(map(len, self.answers.values()))

    def has_mean(self, number: float) -> bool:
        """Whether a number is their mean: of the questions' means, or of all
        answers."""
        if not self.answers:
            return False
        of_all = [value for of_one in self.answers.values() for value in of_one]
        of_questions = [mean(of_one) for of_one in self.answers.values()]
        return any(
            math.isclose(mean(values), number, rel_tol=1e-9, abs_tol=1e-12)
            for values in (of_questions, of_all)
        )


def read(folder: Path) -> dict[Place, Scored]:
    """The scores in an eval's folder, by place; empty where there is no file of scores.

    Raises ValueError if the file does not have the form that an eval writes.
    """
    try:
        lines = (folder / SCORES).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    found: dict[Place, Scored] = {}
    try:
        # in one piece: a setting may have thousands of files
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
    """The scores that a name in a record may mean: a scorer's, or those of one of its
    values, `aligned` or `judge.aligned`; a reducer may follow, as in `judge/max`."""
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
