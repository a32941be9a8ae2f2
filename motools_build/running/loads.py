"""The load check: each eval is loaded once, in a worker, before anything is paid.

What would fail it whichever model it is of (a package or a file that is missing, wrong
arguments, a reducer that cannot be, a role that no one has) shows while it is free.
That an eval could be loaded is remembered by all that its key knows of it, but for the
model; a failure is not, as its cause may be what no key knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from motools_build.backends.job import StageJob
from motools_build.errors import MotoolsError, StageFailed
from motools_build.keys import DigestMemo, Key, digest_bytes
from motools_build.params import EvalParams
from motools_build.running.runtime import versions
from motools_build.running.workers import WorkerPool
from motools_build.specs.backends import facts_of
from motools_build.stages import ASKED, Stage
from motools_build.store.artifacts import ArtifactStore

NOTE = "loads-1"
"""Name of the notes about evals that could be loaded."""


@dataclass
class Loaded:
    """What came of a load check."""

    failed: dict[Key, MotoolsError] = field(default_factory=dict)
    """By the key of each stage that cannot be loaded."""
    warnings: list[str] = field(default_factory=list)
    """Inspect's own, with the eval's name."""

    def spared(
        self, stages: Iterable[Stage], stale: set[Key], asked_for: set[str]
    ) -> dict[Key, str]:
        """Stages that nobody needs, since all that is to be made of them cannot be
        loaded: by key, why. What is asked for by name is made in any case."""
        stages = list(stages)
        users: dict[Key, list[Stage]] = {}
        for stage in stages:
            for used in (*stage.upstream, *stage.setup):
                if stage.key in stale:
                    users.setdefault(used.key, []).append(stage)
        spared: dict[Key, str] = {}
        for stage in reversed(stages):  # each after those that depend on it
            its = users.get(stage.key, [])
            if stage.key in self.failed or stage.name in asked_for or not its:
                continue
            if all(user.key in self.failed or user.key in spared for user in its):
                spared[stage.key] = f"{its[0].name} cannot be loaded" + (
                    f", nor can {len(its) - 1} more" if len(its) > 1 else ""
                )
        return spared


def checkable(stages: Iterable[Stage], store: ArtifactStore) -> list[Stage]:
    """Those that Inspect is to load and that are to be made."""
    return [
        stage
        for stage in stages
        if stage.kind in ASKED
        and stage.backend == "inspect"
        and store.why_stale(stage) is not None
    ]


def worth_it(stages: Iterable[Stage], store: ArtifactStore) -> bool:
    """Whether something is paid, or long, before an eval that cannot be loaded would
    fail by itself."""
    return any(
        store.why_stale(stage) is not None
        for stage in stages
        if stage.accounts
        or (stage.kind == "model" and not facts_of(stage.backend).instant)
    )


async def check(
    stages: Iterable[Stage], memo: DigestMemo, pool: WorkerPool, logs: Path
) -> Loaded:
    """Load each distinct eval of these once, one after another: in one worker, which
    then has imported what the evals need."""
    groups: dict[str, list[Stage]] = {}
    for stage in stages:
        groups.setdefault(_digest(stage), []).append(stage)
    loaded = Loaded()
    for digest, alike in groups.items():
        warnings = memo.noted(NOTE, digest)
        if warnings is None:
            log = logs / f"{alike[0].key}.log"
            try:
                made = await pool.run(_job(alike[0]), log, lambda _: None)
            except (MotoolsError, OSError) as error:
                failure = (
                    error
                    if isinstance(error, MotoolsError)
                    else StageFailed(f"the system refused: {error}")
                )
                loaded.failed.update({stage.key: failure for stage in alike})
                continue
            warnings = made.details["warnings"]
            memo.renote(NOTE, digest, warnings)
        name = EvalParams.of(alike[0]).task.eval_name
        loaded.warnings += [f"eval {name}: {said}" for said in warnings]
    memo.save()
    return loaded


def remember(loaded: Loaded, stages: Iterable[Stage], store: ArtifactStore) -> None:
    """Note the failures, as of stages that were tried."""
    for stage in stages:
        error = loaded.failed.get(stage.key)
        if error is not None:
            log = error.log if isinstance(error, StageFailed) else None
            store.states.record_failure(stage.key, stage.name, error, log)


def _digest(stage: Stage) -> str:
    inputs: Mapping[str, str] = stage.preimage["inputs"]
    task = EvalParams.of(stage).task
    overrides = dict(task.overrides)
    if stage.kind == "samples":  # blocks differ in their epochs alone
        overrides.pop("epochs", None)
    loaded = {
        "file": task.file,
        "package": task.package,
        "function": task.function,
        "overrides": overrides,
        "roles": task.roles,
        "scorer": asdict(task.scorer) if task.scorer else None,
    }
    read = {
        role: digest
        for role, digest in inputs.items()
        if role != "model" and not role.startswith("samples:")
    }
    about: list[Any] = [stage.kind, loaded, read, versions()]
    return digest_bytes(json.dumps(about, sort_keys=True).encode())


def _job(stage: Stage) -> StageJob:
    """The job of loading an eval, of which nothing is made."""
    return StageJob(
        kind=stage.kind,
        backend=stage.backend,
        key=stage.key,
        name=stage.name,
        params=stage.params,
        work="",
        account=stage.account,
        judges=stage.judges,
        only_load=True,
    )
