"""The adapter to doit: the loader, the runner, the reporter and the commands.

`zoo_tasks` is exported for older projects, whose dodo.py imports it from here.
"""

from __future__ import annotations

from motools_build.doit_host.tasks import zoo_tasks

__all__ = ["zoo_tasks"]
