"""Looking for a living job before another attempt of it is paid for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from motools_build.backends.job import StageJob
from motools_build.backends.provider import BY_HAND, Found, Provider
from motools_build.errors import RateLimited, Refused, Unreachable
from motools_build.running.effects import attempt_of, entry_of
from motools_build.store.records import Paid
from motools_build.store.runs import now, seconds_of

if TYPE_CHECKING:
    from motools_build.project.project import Project
    from motools_build.stages import Stage


async def living(
    job: StageJob, provider: Provider, paid: Paid, settle: float
) -> Found | None:
    """A job of this attempt, or of a later one, that runs or has succeeded at the
    provider; None if there is none. The job that the state names comes first, then the
    earliest of the listed ones, as a run elects it.

    Raises Refused if it is not known whether such a job exists.
    """
    try:
        own = Found(paid.id, paid.attempt, "", paid.since)
        if paid.id.startswith(BY_HAND):
            gone = await model_is_gone(job, provider, paid.id, settle)
            return None if gone else own
        told = await provider.poll(job, paid.id) if paid.id else None
        if told and told.status in ("running", "succeeded"):
            return own
        found = await provider.find(job)
        wanted = max(paid.attempt, attempt_of(None, found))
        alike = [each for each in found if each.attempt == wanted and not each.over]
        for each in sorted(alike, key=lambda each: (each.created, each.id)):
            told = await provider.poll(job, each.id)
            if told.status == "gone":
                raise Refused(
                    f"{each.id} is listed, and not known when it is asked for; no "
                    "other attempt was allowed: try again later"
                )
            if told.status in ("running", "succeeded"):
                return each
    except (Unreachable, RateLimited) as error:
        raise Refused(
            f"it is not known whether attempt {paid.attempt} of {job.name} lives "
            f"({error}); no other was allowed: try again later"
        ) from error
    return None


async def model_is_gone(
    job: StageJob, provider: Provider, id: str, settle: float
) -> bool:
    """Whether the provider no longer has a model (`model:ID`). Asks a second time after
    `settle` seconds, because a single "not found" may be wrong."""
    if (await provider.poll(job, id)).status != "gone":
        return False
    await asyncio.sleep(settle)
    return (await provider.poll(job, id)).status == "gone"


def bound_again(project: Project, stage: Stage, paid: Paid, found: Found) -> Paid:
    """Bind the stage to the living job again, in the ledger and in its state file; the
    next run collects the job's model. Returns the new state."""
    again = replace(
        paid,
        phase="bound",
        stage=stage.name,
        id=found.id,
        attempt=found.attempt,
        adopted=paid.adopted or found.id != paid.id,
        message="",
        missing=0.0,
        since=min(found.created, seconds_of(now())),
    )
    project.store.ledger.note(entry_of(stage.key, again, "bound"))
    project.store.states.save_paid(stage.key, again)
    return again
