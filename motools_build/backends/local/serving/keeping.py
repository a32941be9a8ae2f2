"""Which evals by vLLM ask the same server."""

from __future__ import annotations

import json
from pathlib import Path

from motools_build.backends.base import checkpoint_of
from motools_build.backends.job import StageJob
from motools_build.backends.local.adapters import ADAPTER
from motools_build.backends.local.serving.server import RANK
from motools_build.keys import canonical, digest_bytes


def kept(job: StageJob) -> str:
    """What is equal for the evals of base models and of their adapters that one server
    answers; another text for each model that was trained whole."""
    of = {
        role: given.output
        for role, given in job.given.items()
        if role.partition(":")[0] == "base"
    }
    served: list[object] = [of, RANK, ""]
    if made := job.given.get("model"):
        name = checkpoint_of(job, made)
        folder = Path(made.path) if name == made.output else Path(made.path) / name
        if (folder / ADAPTER).is_file():
            rank = int(json.loads((folder / ADAPTER).read_bytes())["r"])
            served[1] = max(RANK, rank)
        else:
            served[2] = name
    return digest_bytes(canonical(served))
