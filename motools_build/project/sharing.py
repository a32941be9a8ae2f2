"""A project and its shared store: `[tool.motools_build] store`."""

from __future__ import annotations

from motools_build.project.project import Project
from motools_build.project.variables import pays_offline, waits
from motools_build.running.claiming import Claiming
from motools_build.store.shared.address import Address
from motools_build.store.shared.claims import Claims
from motools_build.store.shared.objects import Objects


def objects_of(project: Project) -> Objects | None:
    """The objects of the project's shared store; None if it has none. Raises InputError
    for a wrong address."""
    address = project.config.store
    return Objects(Address.parse(address)) if address else None


def claiming(project: Project) -> Claiming:
    """The claims of one run. Raises InputError for a wrong address."""
    objects = objects_of(project)
    return Claiming(
        Claims(objects) if objects else None,
        project.store.states,
        project.settle,
        waits(project.variables),
        pays_offline(project.variables),
    )
