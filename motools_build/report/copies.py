"""Seeds that are copies of each other: of one model, or with the same scores.

A seed that does not change the weights (a backend that ignores it, a training without
any randomness) is no new training. Such seeds are joined like replicates: their answers
are averaged first, and count as those of one seed, so that they cannot narrow an
interval. Seeds of different weights whose scores are equal are told, but not joined:
models that differ may well answer alike, and their agreement is evidence about the next
seed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from motools_build.report.intervals import Answers

if TYPE_CHECKING:
    from motools_build.report.results import Result


def joined(seeds: Sequence[Sequence[Result]]) -> list[list[Result]]:
    """The results of seeds, those of equal models joined into one item. Each seed is
    given as the results of its replicates, for one eval. Models that are not known are
    not equal to any other."""
    found: dict[Hashable, list[Result]] = {}
    for seed in seeds:
        models = sorted(result.model for result in seed)
        known = all(models) and models
        found.setdefault(tuple(models) if known else id(seed), []).extend(seed)
    return list(found.values())


def alike(seeds: Sequence[Answers]) -> bool:
    """Whether several seeds have the same scores for every question, though the scores
    differ from question to question. Scores that are all the same value say nothing:
    models that all answer everything correctly need not be copies."""
    if len(seeds) < 2 or any(one != seeds[0] for one in seeds[1:]):
        return False
    return len({value for of_one in seeds[0].values() for value in of_one}) > 1
