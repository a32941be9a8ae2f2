"""The names that a project's own files import: pyproject.toml and dodo.py; and the
`motools` command.

    [tool.doit]
    loader = "motools"

    [tool.doit.plugins.loader]
    motools = "motools_build.doit:loader"

A project names nothing else of the package. So moving a module breaks no project, and a
command that the package adds is available without a change to the project.
"""

from __future__ import annotations

from motools_build.doit_host.executable import main
from motools_build.doit_host.main import loader, run
from motools_build.doit_host.tasks import zoo_tasks

__all__ = ["loader", "main", "run", "zoo_tasks"]
