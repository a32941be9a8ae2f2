"""The results of stages that a run does not make: left to a later run, or refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from doit.exceptions import TaskFailed

from motools_build.errors import ArtifactError, MotoolsError
from motools_build.keys import Key
from motools_build.running.loads import Loaded
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore


class LeftToLater(TaskFailed):  # type: ignore[misc]
    """Result of a stage that is left to a later run: its job was submitted and not
    awaited, it is parked, or only evals that cannot be loaded need it."""


class NotAsked(LeftToLater):
    """Result of a stage whose account was given up, after another stage has reported
    that as its failure."""


def as_accepted(
    stages: Sequence[Stage],
    store: ArtifactStore,
    always: bool,
    asked_for: Collection[str],
) -> dict[str, TaskFailed]:
    """Name -> result, of the stages that would have to be made, and that a person
    accepted as made under another key; and of the stages that only these need, unless
    they are `asked_for` by name. All of it is known before anything is made."""
    accepted: dict[Key, MotoolsError] = {}
    for stage in stages:
        standing = store.accepted.of(stage.key)
        if standing and (always or store.why_stale(stage)):
            said = replace(standing, stage=stage.name).refusal
            accepted[stage.key] = ArtifactError(said)
    if not accepted:
        return {}
    stale = {s.key for s in stages if always or store.why_stale(s) is not None}
    spared = Loaded(accepted).spared(stages, stale, {*asked_for})
    found: dict[str, TaskFailed] = {}
    for stage in stages:
        if stage.key in accepted:
            found[stage.name] = TaskFailed(str(accepted[stage.key]))
        elif stage.key in spared and stage.key in stale:
            why = f"only {_users(stage, stages)} needs it, which is accepted"
            found[stage.name] = LeftToLater(why)
    return found


def _users(stage: Stage, stages: Sequence[Stage]) -> str:
    """The name of a stage that uses this one."""
    return next(
        (
            other.name
            for other in stages
            if any(used.key == stage.key for used in (*other.upstream, *other.setup))
        ),
        "another stage",
    )
