"""The load check: load each eval once, in a worker, before anything is paid for.

It finds errors that do not depend on the model (a missing package or file, wrong
arguments, an impossible reducer, an undefined role) while they cost nothing. Success is
cached under the inputs in the eval's key, except the model, and under the packages that
are installed. A failure is not cached,
because its cause may be something that is in no key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.errors import MotoolsError, StageFailed
from motools_build.keys import DigestMemo, Key, digest_bytes
from motools_build.params import EvalParams
from motools_build.running.versions import installed, versions
from motools_build.specs.backends import facts_of
from motools_build.stages import ASKED, Stage
from motools_build.store.artifacts import ArtifactStore

if TYPE_CHECKING:
    from motools_build.backends.job import StageJob
    from motools_build.running.workers import WorkerPool

NOTE = "loads-1"
"""Name of the memo's notes on evals that were loaded successfully."""


@dataclass
class Loaded:
    """The result of a load check."""

    failed: dict[Key, MotoolsError] = field(default_factory=dict)
    """Key of a stage whose eval cannot be loaded -> error."""
    warnings: list[str] = field(default_factory=list)
    """Inspect's warnings, each with the eval's name."""

    def spared(
        self, stages: Iterable[Stage], stale: set[Key], asked_for: set[str]
    ) -> dict[Key, str]:
        """Key -> reason, of stages that need not be made because all stale stages that
        use them have evals that cannot be loaded. Stages selected by name (`asked_for`)
        are made in any case."""
        stages = list(stages)
        users: dict[Key, list[Stage]] = {}
        for stage in stages:
            for used in (*stage.upstream, *stage.setup):
                if stage.key in stale:
                    users.setdefault(used.key, []).append(stage)
        spared: dict[Key, str] = {}
        for stage in reversed(stages):  # dependents first
            its = users.get(stage.key, [])
            if stage.key in self.failed or stage.name in asked_for or not its:
                continue
            if all(user.key in self.failed or user.key in spared for user in its):
                spared[stage.key] = f"{its[0].name} cannot be loaded" + (
                    f", nor can {len(its) - 1} more" if len(its) > 1 else ""
                )
        return spared


def checkable(stages: Iterable[Stage], store: ArtifactStore) -> list[Stage]:
    """The stale evals that Inspect has to load."""
    return [
        stage
        for stage in stages
        if stage.kind in ASKED
        and stage.backend == "inspect"
        and store.why_stale(stage) is not None
    ]


def worth_it(stages: Iterable[Stage], store: ArtifactStore) -> bool:
    """Whether a stale stage costs money or takes long, so that it pays to find an eval
    that cannot be loaded beforehand."""
    return any(
        store.why_stale(stage) is not None
        for stage in stages
        if stage.accounts
        or (stage.kind == "model" and not facts_of(stage.backend).instant)
    )


async def check(
    stages: Iterable[Stage], memo: DigestMemo, pool: WorkerPool, logs: Path
) -> Loaded:
    """Load each distinct eval of the stages once. They are loaded one after another, so
    that one worker does all and imports their packages once."""
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
    """Record the failures in the states of their stages, as if they had been run."""
    for stage in stages:
        error = loaded.failed.get(stage.key)
        if error is not None:
            log = error.log if isinstance(error, StageFailed) else None
            store.states.record_failure(stage.key, stage.name, error, log)


def _digest(stage: Stage) -> str:
    """The digest of all that loading the eval depends on."""
    inputs: Mapping[str, str] = stage.preimage["inputs"]
    task = EvalParams.of(stage).task
    overrides = dict(task.overrides)
    if stage.kind == "samples":  # the blocks of an eval differ only in their epochs
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
    about: list[Any] = [stage.kind, loaded, read, versions(), installed()]
    return digest_bytes(json.dumps(about, sort_keys=True).encode())


def _job(stage: Stage) -> StageJob:
    """A job that only loads the eval and makes no artifact."""
    from motools_build.backends.job import StageJob

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
