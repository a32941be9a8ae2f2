"""Jobs at a cluster, as their folders and the cluster's queue tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from motools_build.errors import ArtifactError, Refused, Unreachable
from motools_build.report.paid_jobs import CLUSTER, DAMAGED, JobLine, in_flight
from motools_build.running.executors import SLURM
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.jobs import JobFolder

if TYPE_CHECKING:
    from motools_build.running.executors.slurm_commands import Listed

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
    from motools_build.running.executors.slurm_commands import listing

    nonces = {job.key: str(job.order["nonce"]) for job in store.jobs if _is_read(job)}
    try:
        seen: Mapping[str, Listed] = listing()
    except (Unreachable, Refused) as error:
        told = {line.key: replace(line, message=str(error)) for line in asked}
    else:
        told = {line.key: _seen(line, seen.get(nonces[line.key])) for line in asked}
    return [told.get(line.key, line) if line in asked else line for line in lines]


def _seen(line: JobLine, listed: Listed | None) -> JobLine:
    from motools_build.running.executors.slurm_queue import ENDED, in_words

    if listed is None:
        return line
    state = listed.state.lower().replace("_", " ")
    where = f" on {listed.nodes}" if listed.nodes else ""
    waits = listed.state not in ENDED and not listed.nodes
    told = in_words(listed) if waits else ""
    return replace(line, id=listed.id, state=state + where, message=told)


def _is_read(job: JobFolder) -> bool:
    try:
        return bool(job.order)
    except ArtifactError:
        return False


def _line(job: JobFolder) -> JobLine:
    try:
        stage, since = str(job.order["stage"]), float(job.order["time"])
        state = WAITS if job.result else "submitted" if job.id else "not known"
        message = ""
    except ArtifactError as error:
        stage, since, state, message = "?", 0.0, DAMAGED, str(error)
    return JobLine(
        stage=stage,
        key=job.key,
        attempt=job.attempt,
        id=job.id if state != DAMAGED else "",
        state=state,
        since=since,
        account=SLURM,
        cost=0.0,
        adopted=False,
        message=message,
        backend=CLUSTER,
    )
