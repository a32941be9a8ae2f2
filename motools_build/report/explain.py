"""What a run would do, and why: actions of stages, and what keys differ in."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from motools_build.keys import Key
from motools_build.report.paid_jobs import other_rows, payment
from motools_build.running.effects import ENDED, ended, of_other_rows
from motools_build.stages import KINDS, ON_DEMAND, Stage, work_of
from motools_build.store.artifacts import OUTPUTS, ArtifactStore
from motools_build.store.records import Record

Action = Literal["up to date", "run", "check", "adopt", "resume", "parked", "blocked"]


@dataclass(frozen=True)
class Intent:
    """What a run would do with a stage."""

    stage: Stage
    action: Action
    """`check`: its model is made anew; it runs if other weights come out. Of what is
    paid for: `adopt` takes up a job that has ended, `resume` one that is under way, at
    no further cost; `blocked` needs a `doit retry`, or another input."""
    reason: str
    seconds: float | None
    """An estimate from what the same work took before; None where none is known."""
    cost: float | None = None
    """USD; None where it is not known."""
    tokens: int | None = None
    """That a job will be charged for."""

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


def intents(
    stages: Iterable[Stage],
    store: ArtifactStore,
    charge: Charge,
    refused: Callable[[Stage], str | None] = lambda stage: None,
) -> list[Intent]:
    """What a run of these stages would do, in an order in which it could. What is
    made on demand is listed only if it is needed. `refused` says what a run would
    refuse a stage for, its rows for instance."""
    wanted: dict[str, Stage] = {}
    for stage in stages:
        if stage.kind not in ON_DEMAND:
            _add(stage, wanted, store)
    made: dict[str, Intent] = {}
    pace = _Pace(store)
    for key, stage in wanted.items():
        intent = _intent(stage, store, made, pace)
        problem = refused(stage) if intent.action == "run" else None
        if problem:
            intent = Intent(stage, "blocked", problem, None, 0.0)
        if intent.action == "run" and stage.kind == "model":
            tokens, cost = charge(stage)
            intent = replace(intent, tokens=tokens, cost=cost)
        made[key] = intent
    return list(made.values())


def _add(stage: Stage, wanted: dict[str, Stage], store: ArtifactStore) -> None:
    needed = store.why_stale(stage) is not None
    for used in stage.upstream:
        if needed or used.kind not in ON_DEMAND or store.get(used):
            _add(used, wanted, store)
    for used in stage.setup if needed else ():
        wanted.setdefault(used.key, used)
    wanted.setdefault(stage.key, stage)


def _intent(
    stage: Stage, store: ArtifactStore, made: Mapping[str, Intent], pace: _Pace
) -> Intent:
    reason = store.why_stale(stage)
    if reason is None:
        for used in stage.upstream:
            if used.key in made and made[used.key].action in ("run", "check"):
                what = OUTPUTS.get(used.kind, "weights")
                why = f"runs if {used.name} comes out with other {what}"
                free = 0.0 if _is_free(stage) else None
                return Intent(stage, "check", why, pace.of(stage), free)
        return Intent(stage, "up to date", "", None, 0.0)
    for used in stage.upstream + stage.setup:
        if used.key in made and made[used.key].action in ("parked", "blocked"):
            why = f"{used.name} is {made[used.key].action}"
            return Intent(stage, "blocked", why, None, 0.0)
    paid = payment(stage, store)
    if paid and paid.phase in ENDED:
        return Intent(stage, "blocked", str(ended(paid)), None, 0.0)
    if paid and other_rows(stage, paid, store):
        if stage.kind == "model":
            return Intent(stage, "blocked", str(of_other_rows(paid)), None, 0.0)
        paid = None  # a file of other rows; these are sent, which is free
    if paid and paid.phase == "parked" and paid.until > time.time():
        return Intent(stage, "parked", paid.message, None, 0.0)
    if paid and paid.phase == "intent":
        why = "a request was sent, and its answer is not known: it looks first"
        return Intent(stage, "resume", why, None, 0.0)
    if paid and paid.phase == "bound":
        action: Action = "adopt" if paid.adopted else "resume"
        return Intent(stage, action, f"{paid.id}, attempt {paid.attempt}", None, 0.0)
    failure = store.states.failure(stage.key)
    if failure:
        reason = f"failed before: {failure.message.splitlines()[0]}"
    # only who has an account charges, and not for an upload
    free = 0.0 if _is_free(stage) else None
    return Intent(stage, "run", reason, pace.of(stage), free)


def _is_free(stage: Stage) -> bool:
    """Whether nobody charges for it: it runs on this machine, asks no model at all, or
    only sends a file."""
    asks_none = stage.backend == "dummy" or stage.kind == "upload"
    return asks_none or "account" not in stage.params


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


# ---- why


def flat(preimage: Mapping[str, Any]) -> dict[str, Any]:
    """A preimage as `spec.epochs` -> 3, `inputs.dataset` -> digest."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                yield from walk(inner, f"{path}.{name}" if path else name)
        else:
            yield path, value

    return dict(walk(preimage, ""))


Difference = tuple[str, Any, Any]
"""Field, its value in the other artifact, its value in the stage; None: not there."""


def differences(stage: Stage, record: Record) -> list[Difference]:
    """The fields of the key that differ from a recorded one."""
    new, old = flat(stage.preimage), flat(record.preimage)
    return [
        (name, old.get(name), new.get(name))
        for name in sorted({*new, *old})
        if old.get(name) != new.get(name)
    ]


def nearest(stage: Stage, store: ArtifactStore) -> Record | None:
    """The artifact that differs from the stage in the fewest fields; of several, the
    one that had the stage's name, and then the latest."""
    others = [r for r in store.records(stage.kind) if r.key != stage.key]
    return min(
        others,
        key=lambda record: (
            len(differences(stage, record)),
            record.name != stage.name,
            [-ord(digit) for digit in record.made.get("time", "")],
        ),
        default=None,
    )


def older_versions(record: Record, present: Mapping[str, str]) -> list[str]:
    """Libraries that were others when the artifact was made; shown, never re-run."""
    return [
        f"{name} {was}, now {present[name]}"
        for name, was in sorted(record.made.get("versions", {}).items())
        if name in present and present[name] != was
    ]
