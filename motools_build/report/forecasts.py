"""What a run would do with each stage, and why: the data of a plan."""

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
    """`check`: an upstream stage is made anew, and this stage runs if that changes the
    upstream output. `resume` takes up work under way, and `adopt` a job that the
    provider has already, both at no further cost. `parked` is left to a later run.
    `blocked` needs a person to act, or needs a stage that is parked or blocked."""
    reason: str
    seconds: float | None
    """Estimated duration, from the same kind of work before; None if there was none."""
    cost: float | None = None
    """Estimated cost in USD; None if not known."""
    tokens: int | None = None
    """Tokens that a job will be charged for; None if not known, or if there is no
    job."""

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
"""Returns tokens and USD of the job that a stage would submit; each None if unknown."""


def expected(
    stages: Iterable[Stage],
    store: ArtifactStore,
    charge: Charge,
    refused: Callable[[Stage], str | None] = lambda stage: None,
    statuses: Statuses | None = None,
) -> list[Expected]:
    """What a run of these stages would do, in an order in which a run could make them.
    Stages that are built only on demand are listed only if another stage needs them.
    `refused` returns why a run would refuse a stage, such as problems of its rows, or
    None."""
    statuses = statuses or Statuses(store)
    wanted: dict[str, Stage] = {}
    for stage in stages:
        if stage.kind not in ON_DEMAND:
            _add(stage, wanted, store)
    made: dict[str, Expected] = {}
    wrong = ""
    pace = _Pace(store)
    for key, stage in wanted.items():
        one = _of(statuses.own(stage), made, pace)
        problem = refused(stage) if one.action == "run" else None
        if problem:
            one = Expected(stage, "blocked", problem, None, 0.0)
            wrong = wrong or stage.name
        if one.action == "run" and stage.kind == "model":
            tokens, cost = charge(stage)
            one = replace(one, tokens=tokens, cost=cost)
        made[key] = one
    if wrong:  # a run is refused as a whole, so that nothing is paid for in vain
        why = f"nothing is run while the rows of {wrong} are refused"
        made = {
            key: Expected(one.stage, "blocked", why, None, 0.0)
            if one.action in ("run", "check")
            else one
            for key, one in made.items()
        }
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
    """What a run would do with a stage of this status. `made` has the forecasts of the
    stages that it needs."""
    stage, reason = status.stage, status.why
    # only accounts charge, and not for uploads
    free = 0.0 if _is_free(stage) else None
    if status.state == "up to date":
        if status.accepted:  # what is accepted is never made
            return Expected(stage, "up to date", reason, None, 0.0)
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
    """Action and reason for a stage that the run makes no new attempt of: work under
    way is resumed or adopted, or the stage is parked or blocked. None for others."""
    paid = status.paid
    if status.state == "blocked":
        return "blocked", status.why
    if status.state == "at provider" and paid is None:
        return "resume", "its job at a cluster is taken up"
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
    """Whether the stage costs nothing: it uses no account, only sends a file, or is an
    eval of a backend other than Inspect, which asks no model."""
    asks_none = stage.kind == "upload" or (stage.asks and stage.backend != "inspect")
    return asks_none or not stage.accounts


class _Pace:
    """Estimates durations: the seconds that the same kind of work took before with the
    same base model and backend. Others are ignored, since their speed differs."""

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
    """The kind of work, and the base model of the model that is asked."""
    asked = preimage["inputs"].get("model", "")
    made = models.get(Key(asked))
    if made is None:  # a base model, or a fine-tune whose record is gone
        return work_of(preimage), asked
    base = made["inputs"]["base"]
    # an eval's input is the key of a base model that is an artifact, else its name
    is_key = re.fullmatch("[0-9a-f]{32}", base)
    return work_of(preimage), base if is_key else f"{made['backend']}/{base}"
