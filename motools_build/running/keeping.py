"""Keeping the bytes of the files that a stage is made of, before it is made.

What is an artifact already is not kept once more: a derived, fetched or sampled
dataset. Of a derived dataset, the files are kept that it is derived from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from motools_build.errors import ArtifactError
from motools_build.keys import Digest
from motools_build.running.runtime import Runtime
from motools_build.stages import Stage
from motools_build.task_code.shipped import place_of
from motools_build.text.hints import command


async def keep_files(
    stage: Stage, files: Mapping[str, Digest], runtime: Runtime
) -> None:
    """Keep the stage's files, given as name -> digest, and those that its datasets are
    derived from. Nothing is touched if this process has kept them.

    Raises ArtifactError if they cannot be kept, or if one was edited since the run was
    planned. Nothing was paid by then.
    """
    if not runtime.snapshots:
        return
    wanted = {**_before(stage, runtime), **files}
    lacking = {
        name: digest
        for name, digest in wanted.items()
        if not is_artifact(name, runtime) and runtime.store.snapshots.lacks(digest)
    }
    if lacking:  # in a thread, since each copy waits for the disk
        await asyncio.to_thread(_keep, stage, lacking, runtime)


def is_artifact(name: str, runtime: Runtime) -> bool:
    """Whether a stage's file is part of an artifact."""
    return name.startswith(f"{runtime.store.root}/")


def keeps(stage: Stage, runtime: Runtime) -> bool:
    """Whether the stage has files whose bytes a run keeps unless it is told not to."""
    names = {*stage.files, *_before(stage, runtime)}
    return any(not is_artifact(name, runtime) for name in names)


def _before(stage: Stage, runtime: Runtime) -> dict[str, Digest]:
    """The files that the stage's datasets are derived from, as name -> digest."""
    found: dict[str, Digest] = {}
    for used in stage.setup:
        if used.kind == "dataset" and not used.asks:
            found |= _before(used, runtime)
            names = (name for name in used.files if not is_artifact(name, runtime))
            found |= {name: runtime.memo.digest(place_of(name)) for name in names}
    return found


def _keep(stage: Stage, files: Mapping[str, Digest], runtime: Runtime) -> None:
    for name, digest in files.items():
        try:
            runtime.store.snapshots.keep(place_of(name), digest)
        except OSError as error:
            again = command("run", stage.name)
            raise ArtifactError(
                f"{name} cannot be kept in {runtime.store.snapshots.folder} "
                f"({error.strerror}); nothing was sent or made of it: free some space "
                f"(doit gc), mend permissions, or keep nothing ({again} snapshots=no)"
            ) from error
