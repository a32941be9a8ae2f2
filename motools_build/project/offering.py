"""Offering to accept what differs from an earlier artifact in comments alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from motools_build.project.equivalents import KINDS, Earlier
from motools_build.project.project import Project
from motools_build.stages import Stage
from motools_build.text import hints


def offered(project: Project, stages: Sequence[Stage]) -> list[Stage]:
    """Those of the stages that are stale, and differ from an earlier artifact in
    comments and formatting alone, as far as the files of earlier runs are kept."""
    store = project.store
    if not store.snapshots.folder.is_dir():
        return []
    earlier = Earlier(project)
    accepted = {one.key: one.of for one in store.accepted}
    return [
        stage
        for stage in stages
        if stage.kind in KINDS
        and stage.key not in accepted
        and store.why_stale(stage) is not None
        and not store.has_own(stage)
        and earlier.is_cosmetic(stage, accepted)
    ]


def offer(stages: Sequence[Stage]) -> Iterator[str]:
    """A line with the command that accepts these stages; none if there are none."""
    if not stages:
        return
    names = [stage.name for stage in stages]
    if len(names) > 1:
        names = [*dict.fromkeys(stage.setting for stage in stages)]
    keeps = "the result" if len(stages) == 1 else f"{len(stages)} results"
    yield (
        f"only comments or formatting differ: "
        f"{hints.command('accept', *names, '--why', '...')} keeps {keeps}"
    )
