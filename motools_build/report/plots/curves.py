"""The plot of learning curves: a line for each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from motools_build.report.curves import Curve
from motools_build.report.plots.look import libraries

WIDTH = 330
HEIGHT = 170
MOST = 40
"""Largest number of points of a line; longer curves are thinned evenly."""


def curves_chart(
    metric: str, found: Mapping[tuple[str, str], Curve], colours: Mapping[str, str]
) -> Any:
    """The altair chart of one metric of models' curves. `found` maps the name of a
    group and of one of its models to the model's curve; `colours` has the colour of
    each group."""
    alt = libraries()
    rows = []
    for (group, model), curve in found.items():
        points = [(step, of[metric]) for step, of in curve if metric in of]
        last = points[-1][1]
        told = f"{group}, {model}: {metric} {points[0][1]:.3g} to {last:.3g}"
        rows += [
            {
                "x": step,
                "y": value,
                "line": f"{group} {model}",
                "colour": colours[group],
                "told": told,
            }
            for step, value in thinned(points)
        ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=1.6, opacity=0.85)
        .encode(
            x=alt.X(
                "x:Q",
                title="step",
                scale=alt.Scale(nice=False, zero=False),
                axis=alt.Axis(values=whole_steps(rows), format=",d"),
            ),
            y=alt.Y("y:Q", title=None, scale=alt.Scale(zero=False)),
            detail="line:N",
            color=alt.Color("colour:N", scale=None),
            description="told:N",
        )
        .properties(width=WIDTH, height=HEIGHT)
    )


def whole_steps(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """About five whole numbers between the first and the last step. Vega's own ticks
    are fractions where there are few steps."""
    low, high = min(row["x"] for row in rows), max(row["x"] for row in rows)
    scale = 10 ** max(0, len(str(high - low)) - 2)
    widths = (width * scale for width in (1, 2, 5, 10, 20, 50))
    width = next(one for one in widths if (high - low) / one <= 5)
    return [*range(-(-low // width) * width, high + 1, width)]


def thinned(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `MOST` of the points, evenly, the first and the last among them."""
    if len(points) <= MOST:
        return list(points)
    last = len(points) - 1
    return [points[round(index * last / (MOST - 1))] for index in range(MOST)]
