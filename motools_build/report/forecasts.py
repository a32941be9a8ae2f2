"""What a run would do with each stage, and why: a plan, before anything is done."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from motools_build.keys import Key
from motools_build.report.payments import parked_until
from motools_build.report.status import Status, Statuses
from motools_build.stages import KINDS, ON_DEMAND, Stage, work_of
from motools_build.store.artifacts import OUTPUTS, ArtifactStore

Action = Literal["up to date", "run", "check", "adopt", "resume", "parked", "blocked"]


@dataclass(frozen=True)
class Expected:
    """What a run would do with a stage."""

    stage: Stage
    action: Action
    """`check`: its model is made anew, and it runs if other weights come out. `resume`
    takes up what is under way, and `adopt` a job that is at the provider already, at no
    further cost; `parked` is left to a later run; `blocked` needs somebody to act, or
    needs a stage that is parked or blocked."""
    reason: str
    seconds: float | None
    """An estimate, from what the same work took before; None where none is known."""
    cost: float | None = None
    """USD; None where it is not known."""
    tokens: int | None = None
    """Tokens that a job will be charged for."""

    def as_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage.name,
            "key": self.stage.key,
            "action": self.action,
            "reason": self.reason,
            "seconds": self.seconds,
            "cost": self.cost,
            "tokens": self.tokens,
        }


Charge = Callable[[Stage], tuple[int | None, float | None]]
"""Tokens and USD of a job that is to be submitted; None where not known."""


def expected(
    stages: Iterable[Stage],
    store: ArtifactStore,
    charge: Charge,
    refused: Callable[[Stage], str | None] = lambda stage: None,
    statuses: Statuses | None = None,
) -> list[Expected]:
    """What a run of these stages would do, in an order in which it could. Stages that
    are built only for others are listed only if one of those needs them. `refused` says
    what a run would refuse a stage for, its rows for instance."""
    statuses = statuses or Statuses(store)
    wanted: dict[str, Stage] = {}
    for stage in stages:
        if stage.kind not in ON_DEMAND:
            _add(stage, wanted, store)
    made: dict[str, Expected] = {}
    pace = _Pace(store)
    for key, stage in wanted.items():
        one = _of(statuses.own(stage), made, pace)
        problem = refused(stage) if one.action == "run" else None
        if problem:
            one = Expected(stage, "blocked", problem, None, 0.0)
        if one.action == "run" and stage.kind == "model":
            tokens, cost = charge(stage)
            one = replace(one, tokens=tokens, cost=cost)
        made[key] = one
    return list(made.values())


def _add(stage: Stage, wanted: dict[str, Stage], store: ArtifactStore) -> None:
    needed = store.why_stale(stage) is not None
    for used in stage.upstream:
        if needed or used.kind not in ON_DEMAND or store.get(used):
            _add(used, wanted, store)
    for used in stage.setup if needed else ():
        wanted.setdefault(used.key, used)
    wanted.setdefault(stage.key, stage)


def _of(status: Status, made: Mapping[str, Expected], pace: _Pace) -> Expected:
    """What a run would do with a stage of this status, after what it would do with
    those that the stage needs."""
    stage, reason = status.stage, status.why
    # only who has an account charges, and not for an upload
    free = 0.0 if _is_free(stage) else None
    if status.state == "up to date":
        for used in stage.upstream:
            if used.key in made and made[used.key].action in ("run", "check"):
                what = OUTPUTS.get(used.kind, "weights")
                why = f"runs if {used.name} comes out with other {what}"
                return Expected(stage, "check", why, pace.of(stage), free)
        return Expected(stage, "up to date", "", None, 0.0)
    for used in stage.upstream + stage.setup:
        if used.key in made and made[used.key].action in ("parked", "blocked"):
            why = f"{used.name} is {made[used.key].action}"
            return Expected(stage, "blocked", why, None, 0.0)
    taken_up = _taken_up(status)
    if taken_up:
        return Expected(stage, *taken_up, None, 0.0)
    if status.state == "failed":
        reason = f"failed before: {reason.splitlines()[0]}"
    return Expected(stage, "run", reason, pace.of(stage), free)


def _taken_up(status: Status) -> tuple[Action, str] | None:
    """What a run does, and why, with a stage for which it makes nothing itself."""
    paid = status.paid
    if status.state == "blocked":
        return "blocked", status.why
    if status.state == "being made":
        return "resume", "another run is making it, and this one waits for that"
    if paid and paid.phase == "intent":
        why = "a request was sent, and its answer is not known: it looks first"
        return "resume", why
    if paid and paid.phase == "bound":
        action: Action = "adopt" if paid.adopted else "resume"
        return action, f"{paid.id}, attempt {paid.attempt}"
    if paid and paid.phase == "parked" and parked_until(paid) > time.time():
        return "parked", status.why
    return None


def _is_free(stage: Stage) -> bool:
    """Whether nobody charges for it: it runs on this machine, asks no model at all, or
    only sends a file."""
    asks_none = stage.kind == "upload" or (stage.asks and stage.backend != "inspect")
    return asks_none or not stage.accounts


class _Pace:
    """Seconds that the same kind of work took before, with the same base model: answers
    of another one, or of another backend, take another time."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def of(self, stage: Stage) -> float | None:
        models = {used.key: used.preimage for used in stage.upstream}
        return self._known.get(_work_with(stage.preimage, models))

    @cached_property
    def _known(self) -> dict[tuple[str, str], float]:
        models = {
            record.key: record.preimage for record in self._store.records("model")
        }
        return {
            _work_with(record.preimage, models): record.made["seconds"]
            for kind in KINDS
            for record in self._store.records(kind)
            if record.made.get("seconds") is not None
        }


def _work_with(
    preimage: Mapping[str, Any], models: Mapping[Key, Mapping[str, Any]]
) -> tuple[str, str]:
    """What kind of work it is, and the base model of the one that it asks."""
    asked = preimage["inputs"].get("model", "")
    made = models.get(Key(asked))
    if made is None:  # as it is; or gone, and of a model that nobody knows any more
        return work_of(preimage), asked
    base = made["inputs"]["base"]
    # evals of a base model that is an artifact name its key, of others this name
    is_key = re.fullmatch("[0-9a-f]{32}", base)
    return work_of(preimage), base if is_key else f"{made['backend']}/{base}"
