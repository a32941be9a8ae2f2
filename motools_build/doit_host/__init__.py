"""Everything shaped by doit: the loader, the runner, the reporter and the commands.

`dodo.py` needs one name of it.
"""

from __future__ import annotations

from motools_build.doit_host.tasks import zoo_tasks

__all__ = ["zoo_tasks"]
