"""Jobs at a cluster, as their folders and the cluster's queue tell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from motools_build.errors import ArtifactError, Refused, Unreachable
from motools_build.report.paid_jobs import CLUSTER, DAMAGED, JobLine, in_flight
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.jobs import JobFolder

if TYPE_CHECKING:
    from motools_build.running.executors.cluster import Listed

WAITS = "result waits for a run"
"""The state of a job whose result no run has taken up yet."""


def cluster_jobs(store: ArtifactStore) -> list[JobLine]:
    """The jobs that no run has taken up yet, by their folders alone."""
    return [_line(job) for job in store.jobs if job.path.is_dir()]


def under_way(store: ArtifactStore, settings: set[str]) -> list[JobLine]:
    """The jobs of these settings that have not ended, as far as this folder knows, at
    providers and at clusters."""
    at_clusters = (job for job in cluster_jobs(store) if job.setting in settings)
    return [*in_flight(store, settings), *at_clusters]


def with_queue(lines: list[JobLine], store: ArtifactStore) -> list[JobLine]:
    """The lines, in which jobs at a cluster have the queue's words for their state. The
    queue is asked once, and only if there is such a job; that it does not answer is
    said in each job's message."""
    asked = [line for line in lines if line.backend == CLUSTER and not line.ended]
    asked = [line for line in asked if line.state not in (WAITS, DAMAGED)]
    if not asked:
        return lines
    from motools_build.running.executors.registry import cluster_of

    folders = {job.key: job for job in store.jobs if _is_read(job)}
    asked = [line for line in asked if line.key in folders]  # or it has ended just now
    at = {folders[line.key].executor for line in asked}
    told: dict[str, JobLine] = {}
    for which in at:
        of = [line for line in asked if folders[line.key].executor == which]
        try:
            cluster = cluster_of(*which)
            seen = cluster.listing()
        except (Unreachable, Refused, ArtifactError) as error:
            told |= {line.key: replace(line, message=str(error)) for line in of}
        else:
            told |= {
                line.key: _seen(line, seen.get(folders[line.key].mark), cluster.label)
                for line in of
            }
    return [told.get(line.key, line) if line in asked else line for line in lines]


def _seen(line: JobLine, listed: Listed | None, label: str) -> JobLine:
    if listed is None:
        return line
    where = f" on {listed.nodes}" if listed.nodes else ""
    waits = not listed.over and not listed.nodes
    told = listed.in_words(label) if waits else ""
    return replace(line, id=listed.id, state=listed.state + where, message=told)


def _is_read(job: JobFolder) -> bool:
    try:
        return bool(job.order)
    except ArtifactError:
        return False


def _line(job: JobFolder) -> JobLine:
    try:
        stage, since = str(job.order["stage"]), float(job.order["time"])
        state = WAITS if job.result else "submitted" if job.id else "not known"
        message, executor = "", job.executor[0]
    except ArtifactError as error:
        stage, since, state, message = "?", 0.0, DAMAGED, str(error)
        executor = "?"
    return JobLine(
        stage=stage,
        key=job.key,
        attempt=job.attempt,
        id=job.id if state != DAMAGED else "",
        state=state,
        since=since,
        account=executor,
        cost=0.0,
        adopted=False,
        message=message,
        backend=CLUSTER,
    )
