"""What a log says of its stage, as metadata and as tags."""

from __future__ import annotations

from typing import Any

from motools_build.backends.base import Job


def about(job: Job) -> dict[str, Any]:
    params = job.params
    return {
        "stage": job.name,
        "key": job.key,
        "setting": params["setting"],
        "arms": params.get("arms", []),
        "dataset": params["dataset"],
        "eval": params.get("eval"),
        "base_model": params["model"],
        "training_seed": params["seed"],
        "made_from": made_from(job),
    }


def tags(job: Job) -> list[str]:
    """`setting:simple_math`, `seed:0` and so on."""
    params = job.params
    said = {
        "setting": params["setting"],
        "dataset": params["dataset"],
        "eval": params.get("eval"),
        "seed": params["seed"],
        "key": job.key,
    }
    named = [*said.items(), *(("arm", arm) for arm in params.get("arms", []))]
    return [f"{name}:{value}" for name, value in named if value is not None]


def made_from(job: Job) -> dict[str, str]:
    return {role: given.output for role, given in job.given.items()}
