"""Compares what a project's evals ask with what its models are trained on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from motools_build.project.loadable import loading
from motools_build.project.project import Project
from motools_build.running.loads import Questions, questions
from motools_build.stages import Stage

if TYPE_CHECKING:
    from motools_build.errors import MotoolsError
    from motools_build.report.overlap import Overlaps


def overlapping(project: Project, stages: Iterable[Stage]) -> Overlaps:
    """The eval questions that models of these stages are trained on. The tasks are
    loaded as a run loads them, in a worker; no model is asked. Raises MissingExtra if
    rapidfuzz is not installed."""
    from motools_build.data.near import check_installed
    from motools_build.report.overlap import askable, overlaps

    check_installed()
    return overlaps(asyncio.run(_asked(project, askable(stages))), project.store)


async def _asked(
    project: Project, stages: list[Stage]
) -> list[tuple[list[Stage], Questions | MotoolsError]]:
    if not stages:
        return []
    async with loading(project) as (pool, folder):
        return await questions(stages, pool, folder)
