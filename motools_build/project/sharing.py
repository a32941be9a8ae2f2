"""A project and its shared store: `[tool.motools_build] store`."""

from __future__ import annotations

from motools_build.store.artifacts import ArtifactStore
from motools_build.store.shared.address import Address
from motools_build.store.shared.objects import Objects
from motools_build.store.shared.sharing import Sharing
from motools_build.store.shared.tier import Tier


def sharing(address: str, store: ArtifactStore) -> Sharing:
    """The shared store at an address, behind a project's own. Raises InputError for a
    wrong address."""
    return Sharing(Tier(Objects(Address.parse(address)), store))
