"""Ending a job at a cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass

from motools_build.errors import Refused, StoreError, Unreachable
from motools_build.project.project import Project
from motools_build.running.executors.cluster import AGAIN, Cluster
from motools_build.running.executors.registry import cluster_of
from motools_build.store.jobs import JobFolder

ASKED = 5
"""How often the queue is asked, a second apart, whether a cancelled job has ended."""


def cancel_job(key: str, project: Project) -> tuple[bool, str]:
    """End the job of a key. Returns whether it surely does nothing more, and what
    happened, in words. Unless a run waits for the job, its folder is closed, so that
    the next run submits it anew.

    Raises ArtifactError if the folder cannot be read.
    """
    folder = project.store.jobs.of(key)
    if folder is None:
        return True, "has gone on meanwhile, and ended"
    if folder.result is not None:
        return True, "had ended before; the next run takes its result up"
    cluster = cluster_of(*folder.executor, project.config.executor)
    known = _Known.of(folder)
    folder.cancel()
    folder.wait_until_sent()  # a submission under way ends first
    if folder.path.is_dir():  # unless a run has closed it, which saw the cancel
        known = _Known.of(folder)
    try:
        if not _ended(folder, cluster, known):
            return False, "is asked to end, and may still be at work; see doit jobs"
    except (Unreachable, Refused) as error:
        folder.uncancel()
        return False, f"not cancelled: {error}"
    store = project.store
    if store.locks.take(key):
        try:
            if folder.result is None and folder.path.is_dir():
                cluster.forget(folder)
                store.jobs.close(folder)
        except StoreError as error:
            return True, f"ended; what it saved is fetched by the next run ({error})"
        finally:
            store.locks.drop(key)
    return True, f"cancelled; {AGAIN}"


@dataclass(frozen=True)
class _Known:
    """What is known of a folder's submission."""

    mark: str
    id: str
    group: list[JobFolder]

    @classmethod
    def of(cls, folder: JobFolder) -> _Known:
        return cls(folder.mark, folder.id, folder.group)

    def others(self, folder: JobFolder) -> bool:
        """Whether the same job of the cluster has other stages to do."""
        return any(
            one != folder
            and one.path.is_dir()
            and not one.cancelled
            and one.result is None
            and one.mark == self.mark
            for one in self.group
        )


def _ended(folder: JobFolder, cluster: Cluster, known: _Known) -> bool:
    """Cancel the folder's job at its cluster, unless that does others as well; whether
    it does nothing more by now. Ray lets a job that it was asked to end wait for a
    node, and ends it there: should it begin, its folder is closed."""
    if known.others(folder):
        for _ in range(ASKED):
            if not folder.is_locked():
                return True
            time.sleep(1.0)
        return False
    found = cluster.listing().get(known.mark)
    id = found.id if found else known.id
    if id and not (found and found.over):
        cluster.cancel(id)
    for _ in range(ASKED):
        found = cluster.listing().get(known.mark)
        idle = found is None or found.over or found.phase == "waits"
        if idle and not folder.is_locked():
            return True
        time.sleep(1.0)
    return False
