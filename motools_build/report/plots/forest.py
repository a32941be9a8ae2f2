"""The plot of differences between groups, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from motools_build.report.comparisons import Comparison
from motools_build.report.means import Group
from motools_build.report.plots.look import Look, libraries
from motools_build.report.plots.naming import LABEL, LINE, in_lines, step_of

WIDTH = 270
MOST = 40
"""Largest number of differences in one plot; the table has all."""


def forest(
    found: Sequence[Comparison],
    names: Mapping[Group, str],
    colours: Mapping[Group, str],
    look: Look,
    title: str = "",
) -> Any:
    """The altair chart of the differences of one metric."""
    alt = libraries()
    rows = [_row(one, names, colours) for one in found[:MOST]]
    order = [row["name"] for row in rows]
    x = alt.X("x:Q", title="difference", axis=alt.Axis(format="+~g", tickCount=5))
    shared = {
        "y": alt.Y("name:N", sort=order, title=None, axis=alt.Axis(**LABEL)),
        "description": "told:N",
        "tooltip": "told:N",
        "color": alt.Color("colour:N", scale=None),
    }
    data = alt.Data(values=rows)
    return alt.layer(
        alt.Chart(alt.Data(values=[{"x": 0}]))
        .mark_rule(color=look.ink, opacity=0.7)
        .encode(x=x, description=alt.value("no difference")),
        alt.Chart(data)
        .mark_rule(strokeWidth=3, strokeCap="round")
        .encode(x=x, x2="x2:Q", **shared),
        alt.Chart(data)
        .mark_point(size=90, filled=True, opacity=1)
        .encode(x="value:Q", **shared),
    ).properties(
        width=WIDTH,
        height=alt.Step(step_of(order, 30)),
        **({"title": title} if title else {}),
    )


def _row(
    one: Comparison, names: Mapping[Group, str], colours: Mapping[Group, str]
) -> dict[str, Any]:
    name = f"{names[one.first]} less {names[one.second]}"
    label = name
    if len(name) > LINE:  # the two names below each other
        label = f"{in_lines(names[one.first])}\nless {in_lines(names[one.second])}"
    return {
        "name": label,
        "x": one.found.low,
        "x2": one.found.high,
        "value": one.found.value,
        "told": f"{name}: {one.shown}",
        "colour": colours[one.first],
    }
