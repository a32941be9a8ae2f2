"""The status of a stage now. All commands and tables take it from here, so they agree.

    up to date    the artifact exists, and was made from the present inputs
    being made    a process on this machine, this one or another, is making it
    at provider   a job, or a request whose answer is not known, is under way there or
                  at a cluster
    parked        the provider, or the account's limit, has put it off until a time
    failed        the last attempt failed; the next run tries again
    blocked       no run makes it until a person acts (with `doit retry`, for instance)
    stale         it was made from other inputs than the present ones
    missing       it was never made, or the artifact is gone

`forecasts` derives from this what a run would do with a stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from motools_build.errors import ArtifactError
from motools_build.keys import Key
from motools_build.report.payments import (
    has_succeeded,
    in_parking_words,
    other_rows,
    parked_until,
    payment,
)
from motools_build.running.effects import ENDED, ended, of_other_rows
from motools_build.stages import Stage
from motools_build.store.accepted import Acceptance
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.folders import folders_of
from motools_build.store.records import Paid, Record
from motools_build.store.runs import RunLog

State = Literal[
    "up to date",
    "being made",
    "at provider",
    "parked",
    "failed",
    "blocked",
    "stale",
    "missing",
]

Word = Literal["ok", "stale", "running", "parked", "failed", "missing", "off-plan"]
"""The word for a state in tables and in JSON; `off-plan` for a result that a setting
had, and does not ask for now."""

WORDS: Mapping[State, Word] = {
    "up to date": "ok",
    "being made": "running",
    "at provider": "running",
    "parked": "parked",
    "failed": "failed",
    "blocked": "failed",
    "stale": "stale",
    "missing": "missing",
}

INHERITED: Mapping[State, int] = {
    "being made": 0,
    "at provider": 1,
    "failed": 2,
    "blocked": 2,
    "parked": 3,
}
"""States that a stage inherits from the stages that it needs -> rank. Of several such
states, the one with the lowest rank is shown."""


@dataclass(frozen=True)
class Status:
    """The status of a stage now."""

    stage: Stage
    state: State
    why: str = ""
    """Why the stage is not up to date. If it is up to date, a remark, or empty."""
    record: Record | None = None
    """The record of the artifact, up to date or stale; None if there is none."""
    paid: Paid | None = None
    """The phase of the payment if the state follows from it, else None."""
    accepted: Acceptance | None = None
    """The acceptance by which it is up to date, with the artifact of another key; None
    if it has its own."""

    @property
    def word(self) -> Word:
        """`ok`, `stale`, `running`, `parked`, `failed` or `missing`."""
        return WORDS[self.state]


class Statuses:
    """The statuses of stages for one command. The store is read once for each stage,
    and the status is cached; a new object sees later changes."""

    def __init__(
        self,
        store: ArtifactStore,
        superseded: Callable[[Stage], str | None] = lambda stage: None,
    ) -> None:
        """`superseded` returns, for a stage that no present plan has, a sentence that
        says what replaced it; None for any other stage."""
        self._store = store
        self._superseded = superseded
        self._own: dict[tuple[Key, str], Status] = {}
        self._there: dict[str, set[str]] = {}
        """Kind -> names of the artifacts' folders, listed once: a name may have had
        hundreds of keys."""

    def of(self, stage: Stage) -> Status:
        """The stage's status: its own, or the one inherited from a stage that it needs
        and that keeps it from being made."""
        own = self.own(stage)
        if own.state == "up to date":
            return own
        found = [own]
        for used in _needed(stage):
            of_used = self.own(used)
            if of_used.state != "up to date":
                found.append(of_used)
        most = min(found, key=lambda one: INHERITED.get(one.state, len(WORDS)))
        if most is own or most.state not in INHERITED:
            return own
        why = most.why
        if most.stage.name not in why:
            why = f"{most.stage.name}: {why}"
        return replace(most, stage=stage, why=why)

    def own(self, stage: Stage) -> Status:
        """The stage's own status, without what it would inherit from stages that it
        needs."""
        place = stage.key, stage.name
        if place not in self._own:
            self._own[place] = self._look(stage)
        return self._own[place]

    def _look(self, stage: Stage) -> Status:
        store = self._store
        reason = store.why_stale(stage)
        if reason is None:
            accepted = store.acceptance(stage)
            notes = (accepted.note if accepted else "", self._noted(stage))
            why = "; ".join(filter(None, notes))
            record = store.get(stage)
            return Status(stage, "up to date", why, record, accepted=accepted)
        if store.locks.taken(stage.key):
            return Status(stage, "being made", f"{stage.name} is being made")
        accepted = store.accepted.of(stage.key)
        if accepted:
            why = f"{reason}; {replace(accepted, stage=stage.name).refusal}"
            return Status(stage, "blocked", why, store.get(stage))
        try:
            paid = payment(stage, store)
            told = self._of_payment(stage, paid) if paid else None
        except ArtifactError as error:  # damaged, or written by a later version
            return Status(stage, "blocked", str(error))
        if told:
            return told
        if stage.key in self._at_cluster:
            why = f"its job at a cluster is under way for {stage.name} (doit jobs)"
            return Status(stage, "at provider", why)
        failure = store.states.failure(stage.key)
        if failure:
            return Status(stage, "failed", failure.message)
        return self._not_there(stage, reason)

    def _of_payment(self, stage: Stage, paid: Paid) -> Status | None:
        """The status that follows from the payment. None if the payment does not keep a
        run from making the stage: it was parked at another account, for instance."""
        store = self._store
        if paid.phase in ENDED:
            return Status(stage, "blocked", str(ended(paid)), paid=paid)
        if other_rows(stage, paid, store):
            if stage.kind != "model":  # an upload of other rows is repeated for free
                return None
            return Status(stage, "blocked", str(of_other_rows(paid)), paid=paid)
        if paid.phase == "parked" and paid.account == _account(stage):
            over = "" if parked_until(paid) > time.time() else ", which a run sends now"
            said = f": {paid.message}" if paid.message else ""
            why = f"parked {in_parking_words(paid)}{over}{said}"
            return Status(stage, "parked", why, paid=paid)
        if paid.phase == "intent":
            why = f"a request is under way for {stage.name}"
            return Status(stage, "at provider", why, paid=paid)
        if paid.phase != "bound":
            return None
        if has_succeeded(stage, paid, store):
            why = f"{paid.id} has succeeded; the next run takes it up, at no cost"
            return replace(self._not_there(stage, why), why=why, paid=paid)
        why = f"{paid.id} of account {paid.account} is under way for {stage.name}"
        return Status(stage, "at provider", why, paid=paid)

    def _not_there(self, stage: Stage, reason: str) -> Status:
        """`stale` if there is an artifact that was made from other outputs or under an
        older key, else `missing`."""
        record = self._store.get(stage)
        if record:
            return Status(stage, "stale", reason, record=record)
        if stage.params is None:  # of the past, whose name means another key now
            why = reason.replace("not made yet", "not made then, or removed since")
            return Status(stage, "missing", why)
        record = self._older(stage)
        if record:
            return Status(stage, "stale", "its inputs changed since", record=record)
        return Status(stage, "missing", reason)

    def _noted(self, stage: Stage) -> str:
        """A remark about a stage that is up to date; empty if there is none."""
        told = self._superseded(stage)
        if told:
            return told
        gone = [used.name for used in stage.upstream if self._store.get(used) is None]
        if gone:
            return "the model is gone; its result stays valid"
        return _undeclared(self._store.get(stage))

    @cached_property
    def _at_cluster(self) -> set[str]:
        """The keys whose jobs a cluster has, or had, and no run has taken up since."""
        return {job.key for job in self._store.jobs}

    @cached_property
    def _runs(self) -> RunLog:
        """The run log, read to its end."""
        self._store.runs.refresh()
        return self._store.runs

    def _older(self, stage: Stage) -> Record | None:
        """The record of the latest artifact that a stage of this name has under another
        key; None if there is none."""
        if stage.kind not in self._there:
            self._there[stage.kind] = folders_of(self._store.root, stage.kind)
        for key in reversed(self._runs.keys_of(stage.name)):
            if (
                key == stage.key
                or f"{stage.backend}-{key}" not in self._there[stage.kind]
            ):
                continue
            record = self._store.by_key(stage.kind, stage.backend, key)
            if record:
                return record
        return None


def _needed(stage: Stage) -> Iterator[Stage]:
    """All stages, direct and indirect, that must be made before this one."""
    for used in (*stage.setup, *stage.upstream):
        yield from _needed(used)
        yield used


def _account(stage: Stage) -> str:
    """The name of the account that pays for the stage."""
    return stage.account.name if stage.account else ""


def _undeclared(record: Record | None) -> str:
    """A remark about an eval whose loaded task differs from that of another eval though
    their keys do not say why; empty if there is no such difference."""
    differs: dict[str, str] = record.details.get("undeclared", {}) if record else {}
    if not differs:
        return ""
    other = next(iter(differs.values()))
    return (
        f"its {', '.join(differs)} are not those of {other}, though nothing in their "
        "keys says why: declare what the task reads, Eval(data=[...])"
    )
