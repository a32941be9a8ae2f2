"""What a project's own files name: pyproject.toml, dodo.py, and the `motools` command.

    [tool.doit]
    loader = "motools"

    [tool.doit.plugins.loader]
    motools = "motools_build.doit:loader"

Nothing else of the package need be named there, so that what moves within it breaks no
project, and a command that is added is there at once.
"""

from __future__ import annotations

from motools_build.doit_host.executable import main
from motools_build.doit_host.main import loader, run
from motools_build.doit_host.tasks import zoo_tasks

__all__ = ["loader", "main", "run", "zoo_tasks"]
