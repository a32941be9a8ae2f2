"""Lookup of clusters by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.running.executors import CLUSTERS, RAY, SLURM
from motools_build.running.executors.cluster import Cluster


def cluster_of(
    name: str,
    place: str | None = None,
    tables: Mapping[str, Any] | None = None,
    store: str | None = None,
) -> Cluster:
    """The cluster of a name. `place` is where its job was submitted; None for where new
    jobs go. `tables` is `[tool.motools_build.executor]`; without it, jobs can be listed
    and ended, and none submitted as the project wants it. `store` is the address of the
    team's store, empty if there is none.

    Raises InputError if the name's table is wrong, and ArtifactError for a name that a
    later version may know.
    """
    table = (tables or {}).get(name, {})
    if name == SLURM:
        from motools_build.running.executors.slurm import Slurm

        return Slurm(table)
    if name == RAY:
        from motools_build.running.executors.ray import Ray

        return Ray(table, place or None, store)
    raise ArtifactError(
        f"a job below artifacts/jobs/ is at {name!r}, which is none of "
        f"{', '.join(CLUSTERS)}: a later version of motools_build submitted it"
    )
