"""How wide a setting's intervals will be, and what a further seed takes: the data of
`doit power`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motools_build.errors import InputError
from motools_build.project.project import Project
from motools_build.project.variables import overridden

if TYPE_CHECKING:
    from motools_build.report.forecasts import Expected
    from motools_build.report.power import Power

FAR = 1009
"""Distance of the seed that stands for any further one from the setting's largest: far
enough not to be made already."""


def power(project: Project, name: str) -> Power:
    """The expected widths of a setting's intervals, from its results where there are
    some. Nothing is run or asked. Raises InputError for a setting that cannot be
    planned, or that trains or evaluates nothing."""
    from motools_build.report.comparisons import without_result
    from motools_build.report.power import Power, designs
    from motools_build.report.results import results

    setting, plan = overridden(project.zoo[name], project.variables), project.plan(name)
    if not setting.train or not plan.cells:
        what = "trains nothing" if plan.cells else "has no evals"
        raise InputError(f"{name} {what}, and so no seeds narrow its intervals")
    found = results(plan, project.store)
    limits = {one.name: one.limit for one in setting.evals}
    made = designs(name, found, setting.primary, limits)
    is_other = not any(one.primary for one in made)
    far = str((max(setting.seeds) + FAR) % 2**32)
    own = {stage.key for stage in plan.stages}
    further = Project({**project.variables, "seeds": far})
    return Power(
        name,
        tuple(made),
        len(setting.seeds),
        tuple(one for one in _forecast(further, name) if one.stage.key not in own),
        tuple(_forecast(project, name)),
        tuple(without_result(setting.primary, found, ())) if is_other else (),
    )


def _forecast(project: Project, name: str) -> list[Expected]:
    """What a run of the setting would do. Evals are not loaded, which would take as
    long as importing their tasks."""
    from motools_build.report.forecasts import expected

    return expected(project.plan(name).stages, project.store, project.charge)
