"""The widths of intervals to expect of more seeds and questions: the data of
`doit power`.

How much scores vary between seeds, questions and answers is estimated from the results
that are there, by the method of moments; where there are none, it is assumed. Then
experiments are drawn (`drawn`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from motools_build.report.cells import named_parts
from motools_build.report.comparisons import means_pair
from motools_build.report.differences import Side
from motools_build.report.drawn import (
    OF_QUESTIONS,
    OF_SEEDS,
    RATE,
    TOGETHER,
    Assumed,
    half_width,
)
from motools_build.report.estimates import Column, Estimates, columns
from motools_build.report.forecasts import Expected
from motools_build.report.intervals import YES_NO, Scale, mean
from motools_build.report.means import Group, groups, whole_seeds
from motools_build.report.results import Result
from motools_build.report.spread import spread
from motools_build.specs.contrast import BASE, Contrast

SEEDS = (1, 2, 3, 5, 8, 12, 20)
"""Numbers of seeds that are tried."""

QUESTIONS = (32, 100, 300)
"""Numbers of questions that are tried if the setting does not say how many it has."""


@dataclass(frozen=True)
class Design:
    """A number that an experiment measures, and its expected half-widths."""

    setting: str
    column: Column
    what: str
    """`mean` of a group, or `difference` of two."""
    named: str
    """The groups, for people: `odd less plain`; empty for any."""
    assumed: Assumed
    seeds: tuple[int, ...]
    questions: tuple[int, ...]
    now: int | None = None
    """The number of questions that the eval asks at present; None if not known."""
    of_base: bool = False
    """Whether the second group is a single base model."""
    primary: bool = False
    """Whether it is the setting's primary contrast."""
    halves: Mapping[tuple[int, int], float | None] = field(init=False)
    """Numbers of seeds and questions -> half of the interval's width, as a part of the
    score's range; None if there would be no interval."""

    def __post_init__(self) -> None:
        found = {
            (seeds, questions): half_width(
                self.assumed, seeds, questions, 1 if self.of_base else seeds
            )
            for questions in self.questions
            for seeds in self.seeds
        }
        object.__setattr__(self, "halves", found)

    def enough(self, half: float) -> Iterator[tuple[int, int]]:
        """For each number of questions, the fewest seeds with this half-width, if any
        have it."""
        for questions in self.questions:
            for seeds in self.seeds:
                found = self.halves[seeds, questions]
                if found is not None and found <= half:
                    yield seeds, questions
                    break


@dataclass(frozen=True)
class Power:
    """The designs of a setting, and what one more seed of all its groups takes."""

    setting: str
    designs: tuple[Design, ...]
    seeds: int
    """The number of seeds that the setting has."""
    further: tuple[Expected, ...]
    """What a run would do for one more seed."""
    rest: tuple[Expected, ...]
    """What a run of the setting as it is would do."""
    told: tuple[str, ...] = ()
    """Lines about the primary contrast."""

    def takes(self, seeds: int) -> tuple[float | None, float | None]:
        """Seconds and USD until the setting has this number of seeds, with as many
        questions as now, one stage after another. None if not known, and for fewer
        seeds than the setting has."""
        more = seeds - self.seeds
        if more < 0:
            return None, None
        rest = [one for one in self.rest if one.action != "up to date"]
        every = [*rest, *(self.further * more)]
        return _sum(one.seconds for one in every), _sum(one.cost for one in every)

    def as_json(self, half: float | None) -> dict[str, Any]:
        """What `doit power --format json` prints for the setting."""
        return {
            "setting": self.setting,
            "seeds": self.seeds,
            "half": half,
            "told": list(self.told),
            "designs": [self._json_of(one, half) for one in self.designs],
        }

    def _json_of(self, one: Design, half: float | None) -> dict[str, Any]:
        an_eval, scorer, metric = one.column
        enough = list(one.enough(half or 0.0))
        return {
            "eval": an_eval,
            "scorer": scorer,
            "metric": metric,
            "what": one.what,
            "groups": one.named,
            "assumed": str(one.assumed),
            "questions": one.now,
            "expected": list(self.rows(one)),
            "enough": [{"seeds": seeds, "questions": q} for seeds, q in enough],
        }

    def rows(self, one: Design) -> list[dict[str, Any]]:
        """A row for each number of seeds and questions."""
        names = ("seeds", "questions", "half", "seconds", "cost")
        return [
            dict(zip(names, (*size, half, *self.takes(size[0])), strict=True))
            for size, half in sorted(one.halves.items())
        ]


def designs(
    setting: str,
    found: Sequence[Result],
    primary: Contrast | None,
    limits: Mapping[str, int | None],
) -> list[Design]:
    """What a setting measures: its primary contrast, or, if it has none with an
    interval, of each metric the mean of a group and the difference of two. `limits` is
    the number of questions of each eval that the setting limits."""
    estimates = Estimates(found)
    made = []
    for column in columns(found):
        sides = dict(_sides(found, column, estimates))
        if sides or not column[1]:  # else a metric that is no mean has no interval
            made.append(_Column(setting, found, column, sides, estimates, limits))
    told = [one for of in made for one in of.of_primary(primary)] if primary else []
    return told or [one for of in made for one in of.any_groups()]


@dataclass(frozen=True)
class _Column:
    """One metric and what is known of it."""

    setting: str
    found: Sequence[Result]
    column: Column
    sides: Mapping[Group, Side]
    estimates: Estimates
    limits: Mapping[str, int | None]

    def any_groups(self) -> Iterator[Design]:
        """The mean of any group, and the difference of two such groups: at the rate
        nearest to the middle, where intervals are widest."""
        rates = sorted((self._rate(one) for one in self.sides), key=_from_middle)
        rate = rates[0] if rates else RATE
        yield self._design("mean", "", (rate,))
        if len(groups(self.found)) > 1:
            yield self._design("difference", "of two groups", (rate, rate))

    def of_primary(self, primary: Contrast) -> Iterator[Design]:
        """The primary contrast, if this metric is its, or may be."""
        named = f"{primary.arm} less {primary.against}"
        if not self.column[1]:  # without results, it has no metric yet
            if self.column[0] == primary.eval:
                of_base = primary.against == BASE
                yield self._design("difference", named, (RATE, RATE), of_base, True)
            return
        for first in self.sides:
            for second in self.sides:
                of_base = second[1] == BASE and not second[0]
                is_pair = first[2:] == second[2:] or of_base
                if is_pair and means_pair(primary, self.column, first, second):
                    rates = self._rate(first), self._rate(second)
                    yield self._design("difference", named, rates, of_base, True)

    def _design(
        self,
        what: str,
        named: str,
        rates: tuple[float, ...],
        of_base: bool = False,
        primary: bool = False,
    ) -> Design:
        now = self._questions()
        tried = QUESTIONS if now is None else (max(2, now // 2), now, 2 * now, 4 * now)
        own = {one.cell.seed for one in self.found if one.cell.seed is not None}
        seeds = tuple(sorted({*SEEDS, len(own) or 1}))
        return Design(
            *(self.setting, self.column, what, named, self._assumed(rates), seeds),
            *(tuple(dict.fromkeys(tried)), now, of_base, primary),
        )

    def _questions(self) -> int | None:
        asked = (len(one) for side in self.sides.values() for one in side.scored)
        return max(asked, default=None) or self.limits.get(self.column[0])

    def _rate(self, group: Group) -> float:
        """The rate of a group, a little nearer to the middle than its mean: one of 0 or
        1 would claim that no answer can be otherwise."""
        scale, side = self._scale, self.sides[group]
        if not scale.bounded:
            return side.value
        share = (side.value - scale.low) / (scale.high - scale.low)
        count = sum(len(one) for one in side.scored)
        return (share * count + 1) / (count + 2)

    @property
    def _scale(self) -> Scale:
        return self.estimates.scale(self.column) if self.sides else YES_NO

    def _assumed(self, rates: tuple[float, ...]) -> Assumed:
        scale, sides = self._scale, list(self.sides.values())
        if not sides:
            return Assumed(rates=rates)
        width = scale.high - scale.low if scale.bounded else 1.0
        answers = max(len(a) for s in sides for one in s.seeds for a in one.values())
        spreads = [found for side in sides if (found := spread(side, scale))]
        several = [one for one in spreads if one.of_seeds is not None]

        def typical(values: list[float], otherwise: float) -> float:
            """The root of the mean variance, in parts of the range."""
            if values:
                return float(max(0.0, mean(values)) ** 0.5) / width
            return otherwise * _chance(rates) if scale.bounded else otherwise

        questions = [v for one in spreads if (v := one.of_questions) is not None]
        return Assumed(
            scale,
            rates,
            typical([one.of_seeds or 0.0 for one in several], OF_SEEDS),
            typical(questions, OF_QUESTIONS),
            typical([one.together or 0.0 for one in several], TOGETHER),
            answers,
            sum(len(side.seeds) for side in sides),
            bool(several),
            bool(questions),
        )


def _chance(rates: Sequence[float]) -> float:
    """The deviation of yes or no at these rates, as a part of that in the middle."""
    return mean([2 * float(rate * (1 - rate)) ** 0.5 for rate in rates])


def _from_middle(rate: float) -> float:
    return abs(rate - 0.5)


def _sides(
    found: Sequence[Result], column: Column, estimates: Estimates
) -> Iterator[tuple[Group, Side]]:
    """The groups of models, base models too, that have answers of a metric."""
    if not column[1]:
        return
    for group, results in groups(found).items():
        seeds = [*whole_seeds(results, column)]
        side = estimates.side(seeds, column) if seeds else None
        if side is not None and all(side.scored):
            yield group, side
    for result in found:
        cell = result.cell
        if cell.seed is None and cell.eval == column[0] and result.status == "ok":
            side = estimates.side([[result]], column)
            if side is not None and all(side.scored):
                yield named_parts(cell), side


def _sum(amounts: Iterable[float | None]) -> float | None:
    """The sum; None if one of them is not known."""
    known = list(amounts)
    return None if None in known else sum(one for one in known if one is not None)
