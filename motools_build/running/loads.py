"""The load check: load each eval once, in a worker, before anything is paid for.

It finds errors that do not depend on the model (a missing package or file, wrong
arguments, an impossible reducer, an undefined role) while they cost nothing. Success is
cached under the inputs in the eval's key, except the model, and under the packages that
are installed. A failure is not cached,
because its cause may be something that is in no key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.backends.inspect.questions import QUESTIONS
from motools_build.errors import MotoolsError, StageFailed
from motools_build.keys import DigestMemo, Key, digest_bytes
from motools_build.params import EvalParams
from motools_build.running.versions import installed, versions
from motools_build.specs.backends import facts_of
from motools_build.stages import ASKED, Stage
from motools_build.store.artifacts import ArtifactStore

if TYPE_CHECKING:
    from motools_build.backends.job import Made, StageJob
    from motools_build.running.workers import WorkerPool

NOTE = "loads-1"
"""Name of the memo's notes on evals that were loaded successfully."""


Questions = Mapping[str, Sequence[str]]
"""ID of a sample -> the texts of its user turns."""


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
        if is_loaded(stage) and store.why_stale(stage) is not None
    ]


def is_loaded(stage: Stage) -> bool:
    """Whether Inspect has to load a task for this stage."""
    return stage.kind in ASKED and stage.backend == "inspect"


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
    loaded = Loaded()
    for digest, alike in _alike(stages).items():
        warnings = memo.noted(NOTE, digest)
        if warnings is None:
            made = await _load(alike[0], pool, logs)
            if isinstance(made, MotoolsError):
                loaded.failed.update({stage.key: made for stage in alike})
                continue
            warnings = made.details["warnings"]
            memo.renote(NOTE, digest, warnings)
        name = EvalParams.of(alike[0]).task.eval_name
        loaded.warnings += [f"eval {name}: {said}" for said in warnings]
    memo.save()
    return loaded


async def questions(
    stages: Iterable[Stage], pool: WorkerPool, folder: Path
) -> list[tuple[list[Stage], Questions | MotoolsError]]:
    """What the tasks of these evals ask, or why a task cannot be loaded; with each, the
    evals that ask it. Each task is loaded once, as `check` loads it."""
    found: list[tuple[list[Stage], Questions | MotoolsError]] = []
    for digest, alike in _alike(stages).items():
        work = folder / digest
        work.mkdir()
        made = await _load(alike[0], pool, folder, str(work))
        if isinstance(made, MotoolsError):
            found.append((alike, made))
            continue
        with open(work / QUESTIONS, encoding="utf-8") as file:
            asked = map(json.loads, file)
            found.append((alike, {str(one["id"]): one["asked"] for one in asked}))
    return found


def _alike(stages: Iterable[Stage]) -> dict[str, list[Stage]]:
    """The stages whose evals are loaded alike, by the digest of what is loaded."""
    groups: dict[str, list[Stage]] = {}
    for stage in stages:
        groups.setdefault(_digest(stage), []).append(stage)
    return groups


async def _load(
    stage: Stage, pool: WorkerPool, logs: Path, work: str = ""
) -> Made | MotoolsError:
    try:
        return await pool.run(
            _job(stage, work), logs / f"{stage.key}.log", lambda _: None
        )
    except MotoolsError as error:
        return error
    except OSError as error:
        return StageFailed(f"the system refused: {error}")


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


def _job(stage: Stage, work: str = "") -> StageJob:
    """A job that only loads the eval and makes no artifact."""
    from motools_build.backends.job import StageJob

    return StageJob(
        kind=stage.kind,
        backend=stage.backend,
        key=stage.key,
        name=stage.name,
        params=stage.params,
        work=work,
        account=stage.account,
        judges=stage.judges,
        only_load=True,
    )
