"""Which stages one job of a cluster does in turn, and what becomes of the rest of them
if it ends early.

Evals that ask the same base model, or adapters of it, are done one after another by one
worker, which loads the base model or starts its server once. Each of them has its own
folder and its own result.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from motools_build.backends import registry
from motools_build.errors import MotoolsError
from motools_build.running.executors.cluster import Listed
from motools_build.running.executors.job_folders import request_of
from motools_build.store.jobs import JobFolder

IN_TURN = ("samples", "eval")
"""Kinds of stages that may be done in turn. A training takes its time by itself."""

One = TypeVar("One")


def kept_by(folder: JobFolder) -> str | None:
    """What a worker that did the folder's job has at hand for another one for which it
    is equal; None if the job goes alone."""
    (job,) = request_of(folder).jobs
    if job.kind not in IN_TURN or folder.through:
        return None
    try:
        kept = registry.get(job.backend).keeps(job)
    except (MotoolsError, OSError, ValueError, KeyError):
        return None  # the job itself tells what is wrong with its inputs
    return kept and f"{job.backend} {kept}"


def grouped(jobs: Sequence[tuple[One, str | None]], together: int) -> list[list[One]]:
    """Jobs, each with what it keeps, as groups of at most `together`, which are about
    equally large."""
    found: list[list[One]] = []
    alike: dict[str, list[One]] = {}
    for one, kept in jobs:
        if kept is None:
            found.append([one])
        else:
            alike.setdefault(kept, []).append(one)
    for some in alike.values():
        count = -(-len(some) // together)
        bounds = [len(some) * n // count for n in range(count + 1)]
        found += [some[a:b] for a, b in pairwise(bounds)]
    return found


def is_left_over(folder: JobFolder, listed: Listed | None) -> bool:
    """Whether a folder without a result, whose job has ended, is to be submitted again:
    the job ended before the folder's turn came, or its time limit left the folder less
    than the whole time. Not if somebody ended the job.

    The first folder of a job is never submitted again, so this comes to an end."""
    if listed and listed.was_stopped:
        return False
    group = folder.group
    before = group[: group.index(folder)] if folder in group else []
    if not any(one.begun for one in before):
        return False
    return not folder.begun or bool(listed and listed.state == "timeout")
