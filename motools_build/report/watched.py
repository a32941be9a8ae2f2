"""What a live page shows: how far settings are, the runs under way, the last run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from motools_build.planning.plan import Plan
from motools_build.report.declared import Standing
from motools_build.report.paid_jobs import JobLine
from motools_build.report.results import results
from motools_build.report.status import Statuses, Word
from motools_build.report.table import Table, table_of
from motools_build.stages import ON_DEMAND
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.progress import Snapshot, UnderWay

MOST_MODELS = 60
"""Largest number of models in the table of results of a live page."""


@dataclass(frozen=True)
class OfSetting:
    """How far one setting is, and its results so far."""

    name: str
    counts: Mapping[str, Mapping[Word, int]] = field(default_factory=dict)
    """Kind -> status -> number of stages; without those that are made on demand."""
    table: Table | None = None
    """The results; None for a broken setting."""
    broken: str = ""
    """Why the setting cannot be planned; empty if it can."""

    @property
    def complete(self) -> bool:
        """Whether a run of the setting would have nothing to do."""
        return not self.broken and all(set(of) <= {"ok"} for of in self.counts.values())


@dataclass(frozen=True)
class Watched:
    """A project's settings and runs at one moment."""

    names: tuple[str, ...]
    """Names of the settings that are watched."""
    now: float
    """The moment, in seconds since the epoch."""
    settings: tuple[OfSetting, ...] = ()
    jobs: tuple[JobLine, ...] = ()
    """Jobs of these settings at providers that have not ended."""
    looked: float = 0.0
    """When `settings` and `jobs` were looked up, in seconds since the epoch; 0 while
    the first look-up goes on, and then they are empty."""
    problem: str = ""
    """Why the project cannot be read; then there are no `settings`."""
    runs: tuple[UnderWay, ...] = ()
    """Runs under way and runs that were killed, of these settings or others."""
    last: Snapshot | None = None
    """How the last run of one of these settings ended; None if none is known."""

    def concerns(self, run: UnderWay) -> bool:
        """Whether a run is of one of these settings. A run that has told nothing yet
        may be."""
        return run.snapshot is None or bool({*run.snapshot.settings} & {*self.names})


def of_setting(plan: Plan, store: ArtifactStore, standing: Standing) -> OfSetting:
    """How far a setting is. Only reads."""
    statuses = Statuses(store)
    counts: dict[str, Counter[Word]] = {}
    for stage in plan.stages:
        if stage.kind not in ON_DEMAND:
            counts.setdefault(stage.kind, Counter())[statuses.of(stage).word] += 1
    found = results(plan, store, statuses)
    table = table_of(plan.setting, found, MOST_MODELS, standing=standing)
    return OfSetting(plan.setting, counts, table)
