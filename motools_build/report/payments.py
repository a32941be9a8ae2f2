"""The phase of a stage's payment, from its state file or else from the ledger."""

from __future__ import annotations

import time
from dataclasses import replace

from motools_build.running.budget import DAY
from motools_build.running.effects import paid_of
from motools_build.running.learned import job_of
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Paid


def payment(stage: Stage, store: ArtifactStore) -> Paid | None:
    """The phase of a stage's paid effect, from its state file or else from the ledger.
    None if the stage is not made at a provider, or if nothing was ever sent for it.

    Raises ArtifactError if the state file is damaged, NewerFormat if a later version of
    motools_build wrote it or the ledger's lines.
    """
    if not stage.at_provider:
        return None
    paid = store.states.paid(stage.key)
    if paid:
        return paid
    told = paid_of(store.ledger.of(stage.key))
    return replace(told, stage=stage.name) if told else None


def other_rows(stage: Stage, paid: Paid | None, store: ArtifactStore) -> bool:
    """Whether a job was sent, and the stage's teacher has written other rows since."""
    if paid is None or paid.phase == "absent" or not (paid.nonces or paid.id):
        return False
    rows = job_of(stage, store).made_of
    return bool(rows) and paid.made_of != rows


def has_succeeded(stage: Stage, paid: Paid, store: ArtifactStore) -> bool:
    """Whether the bound job has succeeded, as the ledger tells. Its model is then at
    the provider, and the next run takes it up at no cost."""
    return any(
        (entry.event, entry.id) == ("succeeded", paid.id)
        for entry in store.ledger.of(stage.key)
    )


def parked_until(paid: Paid) -> float:
    """The time at which a parked stage is sent, in seconds since the epoch: the time
    that the provider named, but at most a day after the stage was parked."""
    return min(paid.since + DAY, paid.until)  # the first, if `until` is NaN


def in_parking_words(paid: Paid) -> str:
    """`until 2026-11-26 08:30`, in local time."""
    until = time.localtime(parked_until(paid))
    return f"until {time.strftime('%Y-%m-%d %H:%M', until)}"
