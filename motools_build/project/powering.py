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
    seeds = ",".join(map(str, setting.seeds))
    far = str((max(setting.seeds) + FAR) % 2**32)
    own = {str(stage.key) for stage in plan.stages}
    return Power(
        name,
        tuple(made),
        len(setting.seeds),
        tuple(_forecast(project, name, far, own)),
        tuple(_forecast(project, name, seeds, set())),
        tuple(without_result(setting.primary, found, ())) if is_other else (),
    )


def _forecast(
    project: Project, name: str, seeds: str, without: set[str]
) -> list[Expected]:
    """What a run with these seeds would do with the stages that are not in `without`.
    Evals are not loaded, which would take as long as importing their tasks."""
    from motools_build.report.forecasts import expected

    own = Project({**project.variables, "seeds": seeds})
    told = expected(own.plan(name).stages, own.store, own.charge)
    return [one for one in told if one.stage.key not in without]
