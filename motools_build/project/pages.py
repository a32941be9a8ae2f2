"""Pages and figures of settings' results, written to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from motools_build.errors import InputError
from motools_build.project.forecast import forecast
from motools_build.project.project import Project

if TYPE_CHECKING:
    from motools_build.report.page.material import Material


def write_page(project: Project, settings: Sequence[str], out: Path) -> Path:
    """Write the page of settings' results to the file `out`, and return its path.

    Raises MissingExtra without the extra `report`, InputError for a setting that cannot
    be planned, OSError if the file cannot be written.
    """
    from motools_build.report.page.whole import page
    from motools_build.report.plots.look import libraries
    from motools_build.text.visible import written

    libraries()  # before anything is looked up
    data = written(page([_material(project, name) for name in settings]))
    temporary = out.with_name(f".{out.name}.new")
    temporary.write_bytes(data)
    temporary.replace(out)
    return out


def write_plot(
    project: Project, settings: Sequence[str], out: Path, evals: Sequence[str] = ()
) -> Path:
    """Write a figure of settings' results by group to the file `out`: SVG, PDF or PNG,
    by its ending. `evals` limits it to these evals.

    Raises InputError for another ending, or if there is nothing to draw; else as
    `write_page`.
    """
    from motools_build.report.plots.intervals import chart, panels
    from motools_build.report.plots.look import PAPER, checked_form, libraries, save
    from motools_build.report.plots.naming import colours_of

    alt = libraries()
    checked_form(out)
    charts, there = [], set()
    for name in settings:
        found = _material(project, name, told=False)
        colours = colours_of(found.names, PAPER)
        for panel in panels(found.table, found.scales, found.names):
            there.add(panel.column[0])
            if not evals or panel.column[0] in evals:
                charts.append(chart(panel, colours, PAPER, titled=True))
    unknown = [one for one in evals if one not in there]
    if unknown or not charts:
        having = ", ".join(sorted(there)) or "none"
        what = f"eval {unknown[0]!r}" if unknown else "eval"
        raise InputError(
            f"{', '.join(settings)}: no {what} with a number to draw; with one: "
            f"{having}"
        )
    save(alt.concat(*charts, columns=2), PAPER, out)
    return out


def _material(project: Project, name: str, told: bool = True) -> Material:
    """The material of a setting; with `told`, with forecast and learning curves."""
    from motools_build.report.page.material import material
    from motools_build.report.results import results

    found = results(project.plan(name), project.store)
    if not told:
        return material(name, found)
    stages = list(project.selection.chosen([name]).values())
    waiting = any(result.status != "ok" for result in found)
    expected = forecast(project, stages).stages if waiting else []
    return material(name, found, project.store, expected)
