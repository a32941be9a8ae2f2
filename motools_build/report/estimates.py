"""Metrics with their confidence intervals and numbers of answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import fmean
from typing import TYPE_CHECKING, Any

from motools_build.backends.inspect.scores import number
from motools_build.report.copies import joined
from motools_build.report.differences import Side
from motools_build.report.intervals import (
    Answers,
    Interval,
    Scale,
    interval,
    scale_of,
)
from motools_build.report.outcomes import values
from motools_build.report.scored import MEANS, Place, Scored, of_column, together

if TYPE_CHECKING:
    from motools_build.report.results import Result

Column = tuple[str, str, str]
"""Eval, scorer and metric."""

ONE_QUESTION = "one question"


@dataclass(frozen=True)
class Estimate:
    """A metric of one model, or its mean over seeds, with its interval."""

    value: Any = None
    """The value: a number, or whatever else the scorer gave; None if there is none."""
    low: float | None = None
    high: float | None = None
    """Bounds of the 95 % interval; both None if no interval can be given."""
    scored: int | None = None
    asked: int | None = None
    """Numbers of answers with a score and of all answers; None if not known."""
    why: str = ""
    """Why there is no interval, if a reader would expect one; else empty."""
    instead: str = "-"
    """The text shown if there is no value: a dash, or `inf` or `nan`, which JSON cannot
    express."""

    def as_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "scored": self.scored,
            "asked": self.asked,
        }

    @property
    def count(self) -> str:
        """`30/32`: scored answers of all answers; empty if not known."""
        return "" if self.asked is None else f"{self.scored}/{self.asked}"

    def __str__(self) -> str:
        """`0.06 [0.01, 0.41]`; `instead` if there is no value."""
        if self.value is None:
            return self.instead
        if self.low is None or self.high is None:
            return rounded(self.value) + (f" ({self.why})" if self.why else "")
        digits = 2  # more if low and high would look equal, as if it were certain
        while digits < 12 and f"{self.low:.{digits}f}" == f"{self.high:.{digits}f}":
            digits += 1
        shown = (f"{one:.{digits}f}" for one in (self.value, self.low, self.high))
        return "{} [{}, {}]".format(*map(_unsigned, shown))


def rounded(value: Any) -> str:
    """A float with two decimals, or with two significant digits if it is small, so that
    0.004 is not shown as 0.00. Any other value as it is."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:.2g}" if 0 < abs(value) < 0.005 else _unsigned(f"{value:.2f}")


def _unsigned(shown: str) -> str:
    """The text of a number, without its minus if it is zero: `0.00` for `-0.00`."""
    return shown.lstrip("-") if not shown.strip("-0.") else shown


class Estimates:
    """Computes the estimates of a setting's results. An eval's scores are read once, on
    demand. The scale of a score (yes or no, a share, points) is inferred from all
    results of the setting."""

    def __init__(self, found: Sequence[Result]) -> None:
        self._found = found
        self._scales: dict[Column, Scale] = {}
        self._scored: dict[Column, Scored | None] = {}  # by key, scorer and metric
        self._counts: dict[Column, Estimate] = {}  # by key, scorer and metric
        self._single: dict[Column, Estimate] = {}
        self._folders: dict[str, Mapping[Place, Scored]] = {}
        self.problems: dict[str, str] = {}
        """Stage name -> why its scores cannot be read."""

    def of_others(self, found: Sequence[Result]) -> Estimates:
        """Estimates of these results; scores that were read here are not read again."""
        others = Estimates(found)
        others._scored = {place: one for place, one in self._scored.items() if one}
        others._folders = {key: one for key, one in self._folders.items() if one}
        return others

    def of(self, result: Result, scorer: str, metric: str) -> Estimate:
        """A metric of one model. Its interval is over questions, of this model only."""
        key = result.cell.stage.key, scorer, metric
        if key not in self._single:
            self._single[key] = self._of(result, scorer, metric)
        return self._single[key]

    def _of(self, result: Result, scorer: str, metric: str) -> Estimate:
        found = self._counted(result, scorer, metric)
        scored = self._of_mean(result, scorer, metric)
        if scored is None or found.value is None:
            return found
        column = result.cell.eval, scorer, metric
        return with_interval(
            found,
            interval([scored.answers], self.scale(column), shown=float(found.value)),
            [scored.answers],
        )

    def over(
        self, seeds: Sequence[Sequence[Result]], scorer: str, metric: str
    ) -> tuple[Estimate, Side | None]:
        """A metric's mean over seeds, each given as the results of its replicates, and
        the answers that its interval is from, as `side`. Every result must have a
        number. The replicates of a seed are averaged first, because they are not
        independent, and so are seeds of one model."""
        seeds = joined(seeds)
        every = [result for replicates in seeds for result in replicates]
        single = {id(r): self._counted(r, scorer, metric) for r in every}
        value = fmean(fmean(single[id(r)].value for r in one) for one in seeds)
        asked = [single[id(r)].asked for r in every]
        scored = [single[id(r)].scored for r in every]
        found = Estimate(value, scored=_sum(scored), asked=_sum(asked))
        column = every[0].cell.eval, scorer, metric
        side = self.side(seeds, column)
        if side is None:
            return found, None
        within = interval(
            side.seeds, self.scale(column), shown=value, copies=side.copies
        )
        return with_interval(found, within, side.seeds), side

    def side(self, seeds: Sequence[Sequence[Result]], column: Column) -> Side | None:
        """The answers of a group of models, one item for each seed, as `over`. None
        without seeds, or if the metric is not the mean of the answers' scores."""
        _, scorer, metric = column
        seeds = joined(seeds)
        of_means = [[self._of_mean(r, scorer, metric) for r in one] for one in seeds]
        whole = [[s for s in one if s is not None] for one in of_means]
        short = any(
            len(one) < len(seed) for one, seed in zip(whole, seeds, strict=True)
        )
        if short or not whole:
            return None
        values = [
            fmean(self._counted(r, scorer, metric).value for r in one) for one in seeds
        ]
        return Side(
            [together(one) for one in whole],
            shown=fmean(values),
            copies=[len(one) for one in whole],
        )

    def _counted(self, result: Result, scorer: str, metric: str) -> Estimate:
        """The metric's value and numbers of answers, without an interval."""
        place = result.cell.stage.key, scorer, metric
        if place not in self._counts:
            self._counts[place] = self._found_count(result, scorer, metric)
        return self._counts[place]

    def _found_count(self, result: Result, scorer: str, metric: str) -> Estimate:
        record = result.record
        if record is None:
            return Estimate()
        metrics = record.details["scores"].get(scorer, {})
        counts = record.details.get("counts", {}).get(scorer, {})
        instead = counts.get("not_finite", {}).get(metric, "-")
        if counts:  # made at once, since `replace` takes longer
            scored, asked = counts["scored"], counts["asked"]
            value = metrics.get(metric)
            return Estimate(value, scored=scored, asked=asked, instead=instead)
        found = Estimate(metrics.get(metric), instead=instead)
        places = of_column(self._read(result), scorer)
        if places:
            most = max(places, key=lambda place: place.scored)
            return replace(found, scored=most.scored, asked=most.asked)
        count = number(metrics.get("n", record.details.get("samples")))
        if count is None or found.value is None:
            return found
        lost = number(metrics.get("unscored")) or 0
        return replace(found, scored=int(count), asked=int(count + lost))

    def _of_mean(self, result: Result, scorer: str, metric: str) -> Scored | None:
        """The scores of which the metric is the mean; None if the metric is no mean, if
        there are no scores, or if different scores have this mean."""
        key = result.cell.stage.key, scorer, metric
        if key not in self._scored:
            self._scored[key] = self._found_mean(result, scorer, metric)
        return self._scored[key]

    def _found_mean(self, result: Result, scorer: str, metric: str) -> Scored | None:
        if result.record is None or not result.is_made or metric not in MEANS:
            return None
        told = result.record.details["scores"].get(scorer, {}).get(metric)
        value = number(told)
        if value is None or isinstance(told, str):
            return None
        places = of_column(self._read(result), scorer)
        fit = [place for place in places if place.has_mean(value)]
        if not fit and result.folder:
            from motools_build.report.answers import changed  # not in a bundle

            if why := changed(result.folder, result.record):
                self.problems.setdefault(result.cell.stage.name, why)
        same = all(place.answers == fit[0].answers for place in fit[1:])
        return fit[0] if fit and same else None  # if several fit, which is not known

    def _read(self, result: Result) -> Mapping[Place, Scored]:
        if result.scores is not None:
            return result.scores
        key, folder = result.cell.stage.key, result.folder
        if key not in self._folders:
            from motools_build.report.answers import read  # not in a bundle

            try:
                self._folders[key] = read(folder) if folder else {}
            except (OSError, ValueError) as error:
                self._folders[key] = {}
                self.problems[result.cell.stage.name] = (
                    f"its scores cannot be read ({error}), so it has no interval: "
                    "doit verify"
                )
        return self._folders[key]

    def scale(self, column: Column) -> Scale:
        """The scale of a metric's scores."""
        if column not in self._scales:
            an_eval, scorer, metric = column
            of_column = (
                self._of_mean(result, scorer, metric)
                for result in self._found
                if result.cell.eval == an_eval
            )
            answers = (scored.answers.values() for scored in of_column if scored)
            of_questions = chain.from_iterable(answers)
            self._scales[column] = scale_of(chain.from_iterable(of_questions))
        return self._scales[column]


def columns(found: Iterable[Result]) -> list[Column]:
    """The columns of a table of these results: eval, scorer and metric of every metric
    except standard errors and counts. An eval without any result has one column, with
    empty scorer and metric."""
    seen: dict[Column, None] = {}
    known = set()
    asked = list(found)
    for result in asked:
        if result.record:
            known.add(result.cell.eval)
            counts = result.record.details.get("counts", {})
            for scorer, metrics in result.record.details["scores"].items():
                of_scorer = counts.get(scorer, {})
                # the task's own metrics that have the name of one of our counts
                own, told = of_scorer.get("metrics", ()), of_scorer.get("outcomes", ())
                for metric in values(metrics, own, told):
                    seen[result.cell.eval, scorer, metric] = None
    for result in asked:
        if result.cell.eval not in known:
            seen[result.cell.eval, "", ""] = None
    return list(seen)


def with_interval(
    found: Estimate, within: Interval | None, answers: Sequence[Answers]
) -> Estimate:
    """The estimate with its interval, or with the reason why it has none."""
    if within is not None:  # not by `replace`, which takes longer
        return Estimate(
            *(found.value, within.low, within.high, found.scored, found.asked),
            instead=found.instead,
        )
    questions = {question for one in answers for question in one}
    return replace(found, why=ONE_QUESTION if len(questions) == 1 else "")


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
