"""Removing a setting's artifacts: `doit clean`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from motools_build.errors import ArtifactError, MotoolsError
from motools_build.project.project import Project
from motools_build.stages import Stage
from motools_build.store.state import UNFINISHED


def clean(project: Project, stages: Sequence[Stage], dry: bool) -> Iterator[str]:
    """Remove the stages' artifacts, and yield a line for each: removed, or why kept.

    An artifact is kept if another setting uses it, if the same setting uses it for what
    the variables leave out (other seeds, other models), if a run is using or making it,
    or if its job is not finished. With `dry`, nothing is removed. Raises ArtifactError,
    with nothing removed, if another setting cannot be planned, since the artifacts that
    it uses are then not known.
    """
    try:
        cleaned = {stage.setting for stage in stages}
        used = {**project.users_of_rest(cleaned), **project.users_of_keys(cleaned)}
    except MotoolsError as error:
        raise ArtifactError(
            f"nothing was removed, as it cannot be told what other settings use: "
            f"{error}"
        ) from error
    with nullcontext() if dry else project.store.live.removing():
        live = project.store.live.keys()
        for stage in stages:
            accepted = project.store.accepted.of(stage.key)
            if stage.key in used:
                yield f"kept {stage.name}: {used[stage.key]} uses it"
            elif _unfinished(project, stage):
                yield f"kept {stage.name}: its job is not finished (doit jobs)"
            elif project.store.locks.taken(stage.key):
                yield f"kept {stage.name}: a run is making it"
            elif stage.key in live:
                yield f"kept {stage.name}: a run is using it"
            elif dry and accepted:
                yield f"would revoke what was accepted as {stage.name}"
            elif accepted:
                yield from _revoked(project, stage)
            elif project.store.holds(stage):
                yield f"would remove {stage.name}" if dry else _removed(project, stage)


def _removed(project: Project, stage: Stage) -> str:
    locks = project.store.locks
    if not locks.take(stage.key):  # a run took the lock after `clean` looked at it
        return f"kept {stage.name}: a run is making it"
    try:
        project.store.remove(stage)
    finally:
        locks.drop(stage.key)
    return f"removed {stage.name}"


def _revoked(project: Project, stage: Stage) -> Iterator[str]:
    """Revoke the acceptance of a stage, and remove what it has under its own key. The
    artifact that it was accepted as stays: it is another key's."""
    from motools_build.project.revoking import who

    for one in project.store.accepted.revoke([stage.key], who()):
        name = stage.name if one.key == stage.key else one.stage
        yield f"revoked {name}, accepted as {one.of[:8]}, which stays"
    project.store.forget(stage)
    if project.store.holds(stage):
        yield _removed(project, stage)


def _unfinished(project: Project, stage: Stage) -> bool:
    """Whether the stage has no artifact, but a request or a job that has not ended."""
    if not stage.at_provider or project.store.has_folder(stage):
        return False
    paid = project.store.states.paid(stage.key)
    return paid is not None and paid.phase in UNFINISHED
