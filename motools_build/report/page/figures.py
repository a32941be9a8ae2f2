"""The plots of a page: one SVG for each panel, so that each is legible on a narrow
screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from motools_build.report.page.document import text
from motools_build.report.page.material import Material
from motools_build.report.plots.curves import curves_chart
from motools_build.report.plots.forest import forest
from motools_build.report.plots.intervals import chart, legend, panels
from motools_build.report.plots.look import PAGE, svg
from motools_build.report.plots.naming import colours_of

MOST_PANELS = 24
"""Largest number of plots of one sort; the tables have all numbers."""


def intervals(found: Material) -> str:
    """The metrics by group, with the seeds as points."""
    every = list(panels(found.table, found.scales, found.names))
    colours = colours_of(found.names, PAGE)
    shown = every[:MOST_PANELS]
    signs = "".join(
        f"<span>{text(sign)} {text(meaning)}</span> " for sign, meaning in legend(shown)
    )
    figures = [_figure(one.title, chart(one, colours, PAGE)) for one in shown]
    return f'<p class="legend">{signs}</p>{_grid(figures, every)}' if every else ""


def differences(found: Material) -> str:
    """The differences between groups, a plot for each metric."""
    colours = colours_of(found.names, PAGE)
    every = [
        (" ".join(filter(None, column)), list(of))
        for column, of in groupby(found.compared.found, lambda one: one.column)
    ]
    figures = [
        _figure(title, forest(of, found.names, colours, PAGE))
        for title, of in every[:MOST_PANELS]
    ]
    return _grid(figures, every) if every else ""


def curves(found: Material) -> str:
    """The learning curves of the models, a plot for each number that they tell."""
    colours = {found.names[g]: c for g, c in colours_of(found.names, PAGE).items()}
    metrics = {
        metric: None
        for curve in found.curves.values()
        for _, numbers in curve
        for metric in numbers
        if "loss" in metric
    }
    figures = []
    for metric in metrics:
        of_metric = {
            (found.names[group], model): curve
            for (group, model), curve in found.curves.items()
            if any(metric in numbers for _, numbers in curve)
        }
        figures.append(_figure(metric, curves_chart(metric, of_metric, colours)))
    return _grid(figures, figures) if figures else ""


def _figure(title: str, drawn: Any) -> str:
    return (
        f'<figure role="group" aria-label="{text(title)}">'
        f"<figcaption>{text(title)}</figcaption>{svg(drawn, PAGE)}</figure>"
    )


def _grid(figures: Iterable[str], every: list[Any]) -> str:
    return "".join(_parts(figures, len(every)))


def _parts(figures: Iterable[str], count: int) -> Iterator[str]:
    yield '<div class="grid">'
    yield from figures
    yield "</div>"
    if count > MOST_PANELS:
        yield f'<p class="mut">and {count - MOST_PANELS} more, in the tables</p>'
