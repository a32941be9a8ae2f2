"""Finding evals that cannot be loaded, for a plan: it loads them as a run would."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from motools_build.project.project import Project
from motools_build.running.loads import Loaded, check, checkable
from motools_build.running.workers import WorkerPool
from motools_build.stages import Stage

if TYPE_CHECKING:
    from motools_build.report.forecasts import Expected


def told_of_loads(
    project: Project, found: list[Expected]
) -> tuple[list[Expected], list[str]]:
    """The forecast, in which stages are `blocked` if their eval cannot be loaded or if
    only such evals need them; and Inspect's warnings. Evals that could be loaded are
    remembered in the memo; nothing else is written."""
    from motools_build.report.forecasts import Expected

    to_run = [one.stage for one in found if one.action == "run"]
    wanted = checkable(to_run, project.store)
    if not wanted:
        return found, []
    loaded = asyncio.run(_checked(project, wanted))
    stale = {stage.key for stage in to_run}
    spared = loaded.spared((one.stage for one in found), stale, set())

    def seen(one: Expected) -> Expected:
        key = one.stage.key
        failure = loaded.failed.get(key)
        why = spared.get(key) if failure is None else str(failure)
        if why is None or one.action != "run":
            return one
        return Expected(one.stage, "blocked", why, None, 0.0)

    return [seen(one) for one in found], loaded.warnings


async def _checked(project: Project, wanted: list[Stage]) -> Loaded:
    async with loading(project) as (pool, logs):
        return await check(wanted, project.memo, pool, logs)


@asynccontextmanager
async def loading(project: Project) -> AsyncIterator[tuple[WorkerPool, Path]]:
    """A pool of one worker that loads tasks, and a temporary folder for what it writes,
    logs included: outside of a run, loading leaves nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "worker.log"
        pool = WorkerPool(1, log, project.launcher, project.tables)
        try:
            yield pool, folder
        finally:
            await pool.close()
