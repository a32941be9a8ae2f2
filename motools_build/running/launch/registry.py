"""Lookup of launchers by name. Another package adds one in its pyproject.toml:

    [project.entry-points."motools_build.launchers"]
    slurm = "its_package.slurm:SlurmLauncher"

and a project chooses it with `[tool.motools_build] launcher = "slurm"`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from motools_build.errors import InputError
from motools_build.running.launch import LOCAL
from motools_build.running.launch.base import Launcher
from motools_build.running.launch.local import LocalLauncher
from motools_build.text.similar import known

GROUP = "motools_build.launchers"


def get(name: str, options: Mapping[str, Any]) -> Launcher:
    """A launcher of the given name, constructed with its options.

    Raises InputError if no installed package has a launcher of that name, if it cannot
    be imported, or for a wrong option.
    """
    if name == LOCAL:  # without a search of all installed packages
        return LocalLauncher(options)
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise InputError(
            f"no launcher is called {name!r}; {known(name, [LOCAL, *found.names])} "
            f"(a package adds one as an entry point of the group {GROUP})"
        )
    try:
        made = found[name].load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"the launcher {name!r} cannot be imported from {found[name].value}: "
            f"{error}; install its package anew"
        ) from error
    launcher: Launcher = made(options)
    return launcher
