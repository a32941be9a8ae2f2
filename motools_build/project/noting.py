"""What the run log has of a run besides its stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from motools_build.keys import DigestMemo
from motools_build.planning.plan import Plan
from motools_build.running.revision import revision
from motools_build.task_code.shipped import place_of


def about(
    plans: Mapping[str, Plan], memo: DigestMemo
) -> Callable[[str], dict[str, Any]]:
    """A function that returns the further fields of a planned setting's line: the
    digests of its source files, and the git commit. Git is asked once."""
    at = cache(lambda: revision(Path()))

    def fields(setting: str) -> dict[str, Any]:
        files = {file for stage in plans[setting].stages for file in stage.files}
        digests = {file: memo.digest(place_of(file)) for file in sorted(files)}
        return {"files": digests, **at()}

    return fields
