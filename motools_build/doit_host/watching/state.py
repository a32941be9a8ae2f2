"""The state of a run, from which the display, the snapshot and the summary are made."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from motools_build.stages import ON_DEMAND

if TYPE_CHECKING:
    from motools_build.backends.job import Progress
    from motools_build.running.spent_since import SpentSince
    from motools_build.stages import Stage

WAITS = "waits for a worker"
"""Progress note of a stage in the queue of the worker pool, which is first in, first
out."""

FAILED = 20
"""Number of the latest failures that are remembered with their reason."""

TASK = "task"
"""Kind of the user's own tasks."""


class Running:
    """A stage, or a task of the user's own, that is being made."""

    __slots__ = ("_counted", "key", "kind", "name", "progress", "since", "waits")

    def __init__(self, name: str, key: str, kind: str) -> None:
        self.name, self.key, self.kind = name, key, kind
        self.since = time.time()
        self.progress: Progress | None = None
        self.waits: float | None = None
        """Time since which it waits for a worker; None if it does not."""
        self._counted: tuple[float, int] | None = None
        """Time and value of the first count, which after a resumption is not 0."""

    def told(self, progress: Progress) -> None:
        """Take new progress."""
        self.progress = progress
        waits = progress.note == WAITS
        self.waits = (self.waits or time.time()) if waits else None
        if self._counted is None and progress.unit and progress.total:
            self._counted = time.time(), progress.done

    @property
    def passed(self) -> float:
        """Seconds since the run began it."""
        return time.time() - self.since

    @property
    def eta(self) -> float | None:
        """Seconds until it is done, at its pace since its first count; None if that is
        not known."""
        if self._counted is None or self.progress is None:
            return None
        began, first = self._counted
        done, left = (
            self.progress.done - first,
            self.progress.total - self.progress.done,
        )
        if done <= 0 or left < 0:
            return None
        return (time.time() - began) / done * left


class RunState:
    """How far a run is. It is changed and read by the run's own thread."""

    def __init__(
        self, settings: Iterable[str] = (), variables: Mapping[str, str] | None = None
    ) -> None:
        self.settings = tuple(settings)
        self.variables = dict(variables or {})
        self.started = time.time()
        self.running: dict[str, Running] = {}
        """Name -> what is being made, oldest first."""
        self.failed: deque[tuple[str, str, str, float, str]] = deque(maxlen=FAILED)
        """Name, key, kind, time and first line of the reason of the latest failures."""
        self.spent: SpentSince | None = None
        """What the run's stages cost; None while no stage has begun."""
        self.changes = 0
        """Number of changes so far."""
        self._kinds: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._done: list[str] = []
        """Names of stages that were up to date before the run, not yet counted."""

    @property
    def has_begun(self) -> bool:
        """Whether the run had something to do."""
        return self.spent is not None

    def begin_run(self, stages: Iterable[Stage], spent: SpentSince) -> None:
        """The run has something to do: it looks at these stages, and makes those among
        them that are stale."""
        self.spent = spent
        for stage in stages:
            if stage.kind in ON_DEMAND and stage.name not in self._states:
                continue  # it is counted when it is made
            self._kinds[stage.name] = stage.kind
            self._states.setdefault(stage.name, "waiting")

    def is_over(self, name: str) -> bool:
        """Whether the work on a stage has ended. Stages that were up to date count only
        after `counts`."""
        return self._states.get(name, "waiting") not in ("waiting", "running")

    def up_to_date(self, names: Iterable[str]) -> None:
        """These stages need not be made."""
        self._done += names
        self.changes += 1

    def begin(self, name: str, key: str, kind: str) -> None:
        """The work on a stage has begun."""
        self.running[name] = Running(name, key, kind)
        self._kinds[name], self._states[name] = kind, "running"
        self.changes += 1

    def progress(self, stage: Stage, progress: Progress) -> None:
        """A stage has told how far it is."""
        running = self.running.get(stage.name)
        if running is None:
            return
        news = running.progress is None or running.progress.note != progress.note
        running.told(progress)
        self.changes += 1
        if news:
            self._touch(stage)

    def end(self, name: str, state: str, stage: Stage | None = None) -> None:
        """The work on a stage has ended, or will not begin."""
        self.running.pop(name, None)
        self._kinds.setdefault(name, name.partition(":")[0] if stage else TASK)
        self._states[name] = state
        self.changes += 1
        if stage:
            self._touch(stage)

    def fail(self, name: str, stage: Stage | None, why: str) -> None:
        """The work on a stage, or on a task of the user's own, has failed."""
        self.end(name, "failed", stage)
        first = next(iter(why.strip().splitlines()), "")
        key, kind = (stage.key, stage.kind) if stage else ("", TASK)
        self.failed.append((name, key, kind, time.time(), first))

    def _touch(self, stage: Stage) -> None:
        if self.spent is not None and stage.accounts:
            self.spent.touch(stage.key)

    @property
    def cost(self) -> float | None:
        """USD for what the run sent; None if nothing that it sent has a known cost."""
        return self.spent.total if self.spent else None

    def counts(self) -> dict[str, Counter[str]]:
        """Kind -> state -> number of stages."""
        for name in self._done:
            if self._states.get(name, "waiting") == "waiting":
                self._states[name] = "up to date"
            self._kinds.setdefault(name, name.partition(":")[0])
        self._done.clear()
        found: dict[str, Counter[str]] = {}
        for name, state in self._states.items():
            found.setdefault(self._kinds[name], Counter())[state] += 1
        return found

    def queue(self) -> dict[str, int]:
        """Name -> position, from 1, of the stages that wait for a worker."""
        waiting = [(r.waits, r.name) for r in self.running.values() if r.waits]
        return {name: n for n, (_, name) in enumerate(sorted(waiting), 1)}
