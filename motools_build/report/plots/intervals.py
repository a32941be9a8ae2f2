"""The plot of a metric by group: intervals, and the seeds as points.

Seeds without a result of the present key are drawn, too: a stale one at its old value,
others beside the axis, each with a shape of its own. None of these is in a mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from motools_build.backends.inspect.scores import number
from motools_build.report.estimates import Column, Estimate, rounded
from motools_build.report.intervals import Scale
from motools_build.report.means import Group
from motools_build.report.plots.look import Look, libraries
from motools_build.report.plots.naming import LABEL, in_lines, is_base, step_of
from motools_build.report.results import draw_shown
from motools_build.report.table import Row, Table

WIDTH = 300
"""Width of the plot without its labels, so that it is legible at 400 pixels."""

SHAPES: Mapping[str, tuple[str, str]] = {
    "ok": ("circle", "○"),
    "stale": ("diamond", "◇"),
    "failed": ("cross", "✚"),
    "missing": ("triangle-up", "△"),
    "running": ("square", "□"),
    "parked": ("square", "□"),
}
"""Status -> shape of a seed's point, and the character that resembles it."""

OTHER = ("triangle-down", "▽")
"""The shape of any other status."""


@dataclass(frozen=True)
class Point:
    """One model: a seed, or a replicate of one."""

    name: str
    status: str
    value: float | None
    """The metric; of a stale result the value that it had. None if there is none."""
    told: str
    """What a reader of the page is told of it, without seeing the plot."""
    accepted: bool = False
    """Whether a person accepted it, as made under another key."""


@dataclass(frozen=True)
class Band:
    """One group: its mean with its interval, and its models."""

    group: Group
    name: str
    estimate: Estimate
    seeds: str
    """`3 of 4 seeds`"""
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """What a plot of one metric shows."""

    column: Column
    scale: Scale
    bands: tuple[Band, ...]

    @property
    def title(self) -> str:
        """`arithmetic: accuracy`, without the scorer if that adds nothing, and with the
        number of models whose result is accepted."""
        an_eval, scorer, metric = self.column
        title = f"{an_eval}: {' '.join(filter(None, (scorer, metric)))}".rstrip(": ")
        count = sum(point.accepted for band in self.bands for point in band.points)
        return f"{title} ({count} accepted)" if count else title

    @property
    def statuses(self) -> list[str]:
        """The statuses of its models, without repetition."""
        every = (point.status for band in self.bands for point in band.points)
        return list(dict.fromkeys(every))


def panels(
    table: Table, scales: Mapping[Column, Scale], names: Mapping[Group, str]
) -> Iterator[Panel]:
    """A panel for each metric that has a number."""
    rows = [row for row in table.rows if row.result.cell.eval]
    for column in table.columns:
        bands = tuple(_bands(column, table, rows, names))
        values = [p.value for band in bands for p in band.points]
        if column[1] and any(value is not None for value in values):
            yield Panel(column, scales.get(column, Scale()), bands)


def _bands(
    column: Column, table: Table, rows: Sequence[Row], names: Mapping[Group, str]
) -> Iterator[Band]:
    of_mean = {(mean.group, mean.column): mean for mean in table.means}
    of_group: dict[Group, list[Row]] = {}
    for row in rows:
        cell = row.result.cell
        if cell.eval == column[0]:
            group = (cell.arm, cell.dataset, cell.model, cell.training)
            of_group.setdefault(group, []).append(row)
    for group, its in of_group.items():
        points = tuple(_point(row, column) for row in its)
        mean = of_mean.get((group, column))
        if mean is not None:
            some = f"{mean.seeds} of {mean.of}" if mean.seeds < mean.of else mean.seeds
            told = f"{some} seed{'s' if mean.of > 1 else ''}"
            yield Band(group, names[group], mean.estimate, told, points)
        elif is_base(group):
            yield Band(group, names[group], _estimate(its[0], column), "", points)


def _point(row: Row, column: Column) -> Point:
    result = row.result
    seed, key = draw_shown(result.cell), str(result.cell.stage.key)[:8]
    name = "base model" if result.cell.seed is None else f"seed {seed}"
    if result.status == "ok":
        one = _estimate(row, column)
        value = _number(one.value)
        note = f", {result.accepted.note}" if result.accepted else ""
        said = f"{name}: {one}, key {key}{note}"
        return Point(name, "ok", value, said, accepted=result.accepted is not None)
    scores = result.record.details["scores"] if result.record else {}
    value = _number(scores.get(column[1], {}).get(column[2]))
    was = f", was {rounded(value)}, not in the mean" if value is not None else ""
    return Point(name, result.status, value, f"{name}: {result.status}{was}, key {key}")


def _estimate(row: Row, column: Column) -> Estimate:
    for one in row.metrics:
        if (one.scorer, one.metric) == column[1:]:
            return one.estimate
    return Estimate()


def _number(value: Any) -> float | None:
    found = None if isinstance(value, str) else number(value)
    return found if found is not None and math.isfinite(found) else None


# ---- drawing


def chart(
    panel: Panel, colours: Mapping[Group, str], look: Look, titled: bool = False
) -> Any:
    """The altair chart of a panel. With `titled`, its title is part of it."""
    alt = libraries()
    low, high, aside = _extent(panel)
    names = [in_lines(band.name) for band in panel.bands]
    on_axis = {
        "title": None,
        "scale": alt.Scale(domain=[low - aside, high], nice=False, zero=False),
        "axis": alt.Axis(
            tickCount=5,
            format="~g",  # no labels in the space beside the axis
            labelExpr=f"datum.value < {low} ? '' : datum.label",
        ),
    }
    x = alt.X("x:Q", **on_axis)
    y = alt.Y(
        "group:N",
        sort=names,
        title=None,
        scale=alt.Scale(paddingInner=0.2),
        axis=alt.Axis(**LABEL),
    )
    shared = {"y": y, "description": "told:N", "tooltip": "told:N"}
    plain = {"color": alt.Color("colour:N", scale=None)}
    means, seeds = _data(panel, colours, low, high)
    layers = [
        alt.Chart(alt.Data(values=_base(panel)))
        .mark_rule(strokeDash=[3, 3], color=look.ink, opacity=0.6)
        .encode(x=x, description="told:N", tooltip="told:N"),
        alt.Chart(alt.Data(values=[one for one in means if "x2" in one]))
        .mark_rule(strokeWidth=3, yOffset=-6, strokeCap="round")
        .encode(x=x, x2="x2:Q", **plain, **shared),
        alt.Chart(alt.Data(values=means))
        .mark_point(size=95, filled=True, opacity=1, yOffset=-6)
        .encode(x=alt.X("value:Q", **on_axis), **plain, **shared),
        alt.Chart(alt.Data(values=seeds))
        .mark_point(size=44, yOffset=8, strokeWidth=1.6, opacity=1)
        .encode(x=x, shape=alt.Shape("shape:N", scale=None), **plain, **shared),
    ]
    title = {"title": panel.title} if titled else {}
    return alt.layer(*(one for one in layers if one.data.values)).properties(
        width=WIDTH, height=alt.Step(step_of(names, 40)), **title
    )


def _extent(panel: Panel) -> tuple[float, float, float]:
    """The ends of the axis, and the width of the space beside it for models without a
    value."""
    scale = panel.scale
    values = [*_values(panel)]
    low = scale.low if scale.bounded else min(values)
    high = scale.high if scale.bounded else max(values)
    low, high = min([low, *values]), max([high, *values])
    if high <= low:
        low, high = low - 0.5, high + 0.5
    width = high - low
    most = max(_lost(band) for band in panel.bands)
    return low - 0.02 * width, high + 0.02 * width, width * 0.05 * most


def _values(panel: Panel) -> Iterator[float]:
    for band in panel.bands:
        found = [p.value for p in band.points]
        found += [band.estimate.low, band.estimate.high]
        yield from (value for value in found if value is not None)


def _lost(band: Band) -> int:
    return sum(point.value is None for point in band.points)


def _data(
    panel: Panel, colours: Mapping[Group, str], low: float, high: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of the layers with means, and of that with seeds."""
    means, seeds = [], []
    for band in panel.bands:
        about = {"group": in_lines(band.name), "colour": colours[band.group]}
        found = band.estimate
        value = _number(found.value)
        if value is not None:
            told = ", ".join(filter(None, (f"{band.name}: {found}", band.seeds)))
            one = {**about, "value": value, "told": told}
            if found.low is not None and found.high is not None:
                one |= {"x": found.low, "x2": found.high}
            means.append(one)
        if is_base(band.group) and value is not None:
            continue  # its one point is the mean
        beside = (low - (high - low) * 0.05 * (nth + 0.6) for nth in range(10**6))
        for point in band.points:
            shape, _ = SHAPES.get(point.status, OTHER)
            x = next(beside) if point.value is None else point.value
            told = f"{band.name}, {point.told}"
            seeds.append({**about, "x": x, "shape": shape, "told": told})
    return means, seeds


def _base(panel: Panel) -> list[dict[str, Any]]:
    """The row of the line at the base model's value, if there is one base model."""
    bases = [band for band in panel.bands if is_base(band.group)]
    if len(bases) != 1 or len(panel.bands) == 1:
        return []
    value = _number(bases[0].estimate.value)
    told = f"base model: {bases[0].estimate}"
    return [] if value is None else [{"x": value, "told": told}]


def legend(panels: Iterable[Panel]) -> list[tuple[str, str]]:
    """Sign and meaning of what the panels show."""
    every = list(panels)
    statuses = dict.fromkeys(status for panel in every for status in panel.statuses)
    found = [("●", "mean, with its 95 % interval"), ("○", "a seed")]
    for status in statuses:
        if status != "ok":
            where = "at its old value, " if status == "stale" else ""
            sign = SHAPES.get(status, OTHER)[1]
            found.append((sign, f"{status}: {where}in no mean"))
    if any(_base(panel) for panel in every):
        found.append(("┆", "base model"))
    return found
