"""What the run log has of a run besides its stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from motools_build.keys import Digest, DigestMemo
from motools_build.planning.plan import Plan
from motools_build.running.revision import Revisions
from motools_build.task_code.shipped import place_of


def about(
    plans: Mapping[str, Plan], memo: DigestMemo, revisions: Revisions
) -> Callable[[str], dict[str, Any]]:
    """A function that returns the further fields of a planned setting's line: the
    digests of its source files, and the git commit."""

    def fields(setting: str) -> dict[str, Any]:
        return {"files": files_of(plans[setting], memo), **revisions.now()}

    return fields


def files_of(plan: Plan, memo: DigestMemo) -> dict[str, Digest]:
    """Name of each source file of a plan -> its digest. Raises OSError for a file that
    cannot be read."""
    files = {file for stage in plan.stages for file in stage.files}
    return {file: memo.digest(place_of(file)) for file in sorted(files)}
