"""What a page of results is made from: the data that the commands print, looked up
once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from motools_build.report.comparisons import Comparison, comparisons, not_compared
from motools_build.report.curves import Curve, curve_in
from motools_build.report.estimates import Column, Estimates
from motools_build.report.forecasts import Expected
from motools_build.report.intervals import Scale
from motools_build.report.lineage import model_of
from motools_build.report.means import Group
from motools_build.report.plots.naming import short_names
from motools_build.report.results import Result, draw_shown, named_parts
from motools_build.report.table import Table, table_of
from motools_build.store.artifacts import ArtifactStore


@dataclass(frozen=True)
class Material:
    """One setting's results and what is told about them."""

    table: Table
    differences: Sequence[Comparison]
    lost: Sequence[tuple[Column, Group]]
    """Groups that no comparison has, as `not_compared` returns them."""
    scales: Mapping[Column, Scale]
    names: Mapping[Group, str]
    """The short name of each group, the same in all plots and tables."""
    forecast: Sequence[Expected] = ()
    """What a run of the setting would do."""
    curves: Mapping[tuple[Group, str], Curve] = field(default_factory=dict)
    """Group and name of a model -> its learning curve."""


def material(
    setting: str,
    found: Sequence[Result],
    store: ArtifactStore | None = None,
    forecast: Sequence[Expected] = (),
) -> Material:
    """The material of a setting whose results were looked up. Without a store, there
    are no learning curves."""
    table, estimates = table_of(setting, found), Estimates(found)
    return Material(
        table,
        comparisons(found, estimates),
        not_compared(found),
        {column: estimates.scale(column) for column in table.columns},
        short_names(named_parts(result.cell) for result in found),
        forecast,
        _curves(found, store) if store else {},
    )


def _curves(
    found: Sequence[Result], store: ArtifactStore
) -> dict[tuple[Group, str], Curve]:
    curves: dict[tuple[Group, str], Curve] = {}
    for result in found:
        model = model_of(result.cell.stage)
        name = named_parts(result.cell), f"seed {draw_shown(result.cell)}"
        if model is None or name in curves or store.get(model) is None:
            continue
        try:
            curves[name] = [*curve_in(store.materialise(model))]
        except (OSError, ValueError):  # a damaged curve is for `doit verify` to tell
            curves[name] = []
    return {name: curve for name, curve in curves.items() if curve}
