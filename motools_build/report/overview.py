"""The progress of settings: the data of `doit status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from motools_build.report.cluster_jobs import under_way
from motools_build.report.paid_jobs import JobLine
from motools_build.report.status import Statuses, Word
from motools_build.stages import ASKED, Stage
from motools_build.store.artifacts import ArtifactStore


@dataclass(frozen=True)
class Overview:
    """The progress of settings: the number of models, answers and evals with each
    status, and the jobs under way at providers."""

    settings: Mapping[str, Mapping[Word, int]]
    """Setting -> status -> number of stages; without statuses that no stage has."""
    jobs: tuple[JobLine, ...] = ()
    """Jobs of these settings that have not ended, as far as this folder knows."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Setting -> why it cannot be planned."""
    accepted: Mapping[str, int] = field(default_factory=dict)
    """Setting -> the number of its stages that are up to date because a person accepted
    another key's artifact; without settings that have none."""

    @property
    def complete(self) -> bool:
        """Whether a run of these settings would have nothing to do."""
        done = all(set(counts) <= {"ok"} for counts in self.settings.values())
        return done and not self.broken

    def as_json(self) -> dict[str, Any]:
        """What `doit status --json` prints."""
        return {
            "complete": self.complete,
            "settings": {name: dict(of) for name, of in self.settings.items()},
            "jobs": [job.as_json() for job in self.jobs],
            **({"accepted": dict(self.accepted)} if self.accepted else {}),
            **({"broken": dict(self.broken)} if self.broken else {}),
        }


def overview(
    stages: Iterable[Stage],
    store: ArtifactStore,
    broken: Mapping[str, str] | None = None,
) -> Overview:
    """The progress of the settings of these stages. `broken` maps settings that cannot
    be planned, so have no stages, to the reason."""
    statuses = Statuses(store)
    counts: dict[str, Counter[Word]] = {}
    accepted: Counter[str] = Counter()
    for stage in stages:
        if stage.kind == "model" or stage.kind in ASKED:
            of_setting = counts.setdefault(stage.setting, Counter())
            status = statuses.of(stage)
            of_setting[status.word] += 1
            if status.accepted:
                accepted[stage.setting] += 1
    jobs = tuple(under_way(store, set(counts)))
    return Overview(counts, jobs, broken or {}, accepted)
