"""A project and its shared store: `[tool.motools_build] store`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motools_build.project.variables import pays_offline, waits
from motools_build.running.claiming import Claiming
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.shared.address import Address
from motools_build.store.shared.claims import Claims
from motools_build.store.shared.objects import Objects
from motools_build.store.shared.sharing import Sharing
from motools_build.store.shared.tier import Tier

if TYPE_CHECKING:
    from motools_build.project.project import Project


def sharing(address: str, store: ArtifactStore) -> Sharing:
    """The shared store at an address, behind a project's own. Raises InputError for a
    wrong address."""
    return Sharing(Tier(Objects(Address.parse(address)), store))


def claiming(project: Project) -> Claiming:
    """The claims of one run. Raises InputError for a wrong address."""
    shared = project.sharing
    return Claiming(
        Claims(shared.tier.objects) if shared else None,
        project.store.states,
        project.settle,
        waits(project.variables),
        pays_offline(project.variables),
    )
