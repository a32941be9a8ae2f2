"""The rule of `until=half:0.15 max_seeds=10`: which groups of models want another seed.

A seed is added while an interval is wider than asked, and never because of what a mean
or a difference is, since stopping at a result finds too many results
(docs/statistics.md). So the rule is given widths alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from motools_build.report.copies import joined
from motools_build.report.means import groups, means

if TYPE_CHECKING:
    from motools_build.report.estimates import Column, Estimates
    from motools_build.report.means import Group, Mean
    from motools_build.report.results import Result
    from motools_build.report.until import Until

State = Literal["wide", "met", "most", "copies", "no interval", "not made"]


@dataclass(frozen=True)
class Width:
    """The width of one metric's interval. Neither its mean nor its bounds are here."""

    column: Column
    half: float
    """Half of the width, as a share of the score's range."""
    distinct: int
    """Number of different models in the mean. With one, the interval says nothing of
    new seeds, and so it is never narrow enough."""
    range: float = 1.0
    """The score's range in its own units: 1 for shares, 100 for points."""

    @classmethod
    def of(cls, mean: Mean, estimates: Estimates) -> Width | None:
        """The width of a mean's interval; None if it has none, or a score without
        bounds, of whose range it could not be a share."""
        scale, found = estimates.scale(mean.column), mean.estimate
        if not scale.bounded or found.low is None or found.high is None:
            return None
        range = scale.high - scale.low
        half = (found.high - found.low) / 2 / range
        return cls(mean.column, half, mean.distinct, range)

    def is_within(self, half: float) -> bool:
        """Whether the interval is over seeds, and no wider than this."""
        return self.distinct > 1 and self.half <= half

    def __str__(self) -> str:
        """`0.12 (caps includes accuracy)`; of points, `12 of 100 (...)`."""
        return f"{self._amount} ({' '.join(filter(None, self.column))})"

    @property
    def _amount(self) -> str:
        if self.range == 1:
            return f"{self.half:.3f}"
        return f"{self.half * self.range:.3g} of {self.range:g}"


@dataclass(frozen=True)
class GroupWidth:
    """A group of models, all seeds of one arm, dataset, model and training: how wide
    its intervals are with the seeds that it has been given."""

    group: Group
    seeds: tuple[int, ...]
    """The seeds that it has been given so far, the setting's first."""
    distinct: int
    """Number of different models among those that are made."""
    is_copy: bool
    """Whether the last seed gave a model that an earlier one had given."""
    widths: tuple[Width, ...]
    """Of the metrics that count: means of answers' scores that have bounds."""
    lost: str = ""
    """The statuses of results that are not there, such as `1 failed`; empty if all
    are."""

    @property
    def widest(self) -> Width | None:
        """The widest interval; one that is not over seeds counts as wider than any."""
        ranked = sorted(self.widths, key=lambda one: (one.distinct < 2, one.half))
        return ranked[-1] if ranked else None

    def state(self, until: Until) -> State:
        """`wide` if it wants another seed, else why it does not: `met`, `most` (it has
        `max_seeds`), `copies` (a new seed gives no new model), `no interval` (no metric
        can have one), `not made` (results are missing)."""
        if self.lost:
            return "not made"
        if not self.widths:
            return "no interval"
        if all(width.is_within(until.half) for width in self.widths):
            return "met"
        if self.is_copy:
            return "copies"
        return "most" if len(self.seeds) >= until.max_seeds else "wide"

    @property
    def half(self) -> str:
        """`half-width 0.120 (caps includes accuracy)`, of the widest interval."""
        widest = self.widest
        is_over_seeds = widest is not None and widest.distinct > 1
        return f"half-width {widest}" if is_over_seeds else "no interval over seeds yet"

    def told(self, until: Until) -> str:
        """A sentence: the seeds that were used, and what came of it."""
        seeds = f"{len(self.seeds)} seed{'s' * (len(self.seeds) != 1)}"
        of = f"{', '.join(filter(None, self.group))}: {seeds}"
        match self.state(until):
            case "met":
                return f"{of}, {self.half}: met"
            case "wide":
                return f"{of}, {self.half}: wants another seed"
            case "most":
                return f"{of}, {self.half}: not met, and max_seeds is reached"
            case "copies":
                models = f"{self.distinct} distinct model{'s' * (self.distinct != 1)}"
                return (
                    f"{of}, {models}, {self.half}: not met, and no seed is added: the "
                    "last one gave a copy of an earlier model"
                )
            case "no interval":
                return (
                    f"{of}: no seed is added: no metric that counts has an interval "
                    "and a score with bounds"
                )
            case _:
                return (
                    f"{of}: no seed is added while results are not there: {self.lost}"
                )

    def as_json(self, until: Until) -> dict[str, Any]:
        """The fields of the event `until`."""
        arm, dataset, model, training = self.group
        widest = self.widest
        is_over_seeds = widest is not None and widest.distinct > 1
        an_eval, scorer, metric = widest.column if widest else (None, None, None)
        return {
            "arm": arm,
            "dataset": dataset,
            "model": model,
            "training": training,
            "seeds": list(self.seeds),
            "distinct": self.distinct,
            "half": widest.half if widest and is_over_seeds else None,
            "asked": until.half,
            "eval": an_eval,
            "scorer": scorer,
            "metric": metric,
            "state": self.state(until),
        }


def group_widths(
    found: Sequence[Result],
    estimates: Estimates,
    seeds: Mapping[Group, Sequence[int]],
    evals: Sequence[str] = (),
) -> Iterator[GroupWidth]:
    """The widths of each group of the results `found`, which `estimates` are of.
    `seeds` are those that each group has been given; `evals` are the evals that count,
    empty for all."""
    widths: dict[Group, list[Width]] = {}
    for mean in means(found, estimates):
        if not evals or mean.column[0] in evals:
            width = Width.of(mean, estimates)
            widths.setdefault(mean.group, []).extend([width] if width else [])
    for group, results in groups(found).items():
        models = _by_seed(results)
        distinct = len(joined(models))
        lost = Counter(one.status for one in results if one.status != "ok")
        yield GroupWidth(
            group,
            tuple(seeds[group]),
            distinct,
            len(models) > 1 and len(joined(models[:-1])) == distinct,
            tuple(widths.get(group, ())),
            ", ".join(f"{number} {status}" for status, number in lost.items()),
        )


def _by_seed(results: Sequence[Result]) -> list[list[Result]]:
    """The results of one eval of a group, by seed, of the seeds that are made."""
    an_eval = results[0].cell.eval
    found: dict[int | None, list[Result]] = {}
    for result in results:
        if result.cell.eval == an_eval and result.status == "ok":
            found.setdefault(result.cell.seed, []).append(result)
    return list(found.values())
