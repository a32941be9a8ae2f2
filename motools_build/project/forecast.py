"""The forecast of a run: the data of `doit plan`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from motools_build.account import Account
from motools_build.project.checks import refused
from motools_build.project.loadable import told_of_loads
from motools_build.project.project import Project
from motools_build.project.remote import ask_calendar, looked_up, payers
from motools_build.stages import Stage

if TYPE_CHECKING:
    from motools_build.report.calendar import Ending
    from motools_build.report.forecasts import Expected


@dataclass(frozen=True)
class Forecast:
    """What a run would do with each stage, and what the user should know before it."""

    stages: list[Expected]
    """One for each stage, in an order in which a run could make them."""
    accounts: list[Account]
    """The accounts that would pay."""
    unanswered: list[str]
    """One sentence for each request to a provider that failed."""
    endings: list[Ending]
    """The models that their providers will shut down or have shut down, the earliest
    first."""
    warnings: list[str]
    """Inspect's warnings about the evals that were loaded."""
    offers: tuple[str, ...] = ()
    """A line for the stages that differ from an earlier artifact in comments or
    formatting alone: the command that keeps their results."""


def forecast(
    project: Project, stages: Sequence[Stage], remote: bool = False
) -> Forecast:
    """What a run of these stages would do. Evals that would run are loaded, as a run
    loads them, so that one that cannot be loaded is reported here. With `remote`,
    providers are asked for jobs that could be adopted."""
    from motools_build.project.offering import offer, offered
    from motools_build.report.calendar import endings
    from motools_build.report.forecasts import expected

    wrong = partial(refused, project)
    found = expected(stages, project.store, project.charge, wrong)
    unanswered: list[str] = []
    if remote:
        found = asyncio.run(looked_up(project, found))
        unanswered = asyncio.run(ask_calendar(project, payers(stages)))
    found, warnings = told_of_loads(project, found)
    alike = offered(project, [one.stage for one in found if one.action == "run"])
    keys = {stage.key for stage in alike}
    found = [
        replace(one, reason=f"{one.reason}; only comments or formatting differ")
        if one.stage.key in keys
        else one
        for one in found
    ]
    project.memo.save()
    ending = endings(stages, project.store, project.shutdowns)
    return Forecast(
        *(found, payers(stages), unanswered, ending, warnings), tuple(offer(alike))
    )
