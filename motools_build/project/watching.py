"""Watching a project: settings, results and runs as they are now, at little cost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from motools_build.errors import MotoolsError
from motools_build.project.entering import in_folder
from motools_build.project.project import ARTIFACTS, Project
from motools_build.pyproject import PYPROJECT
from motools_build.stages import KINDS
from motools_build.store.artifacts import ArtifactStore

if TYPE_CHECKING:
    from motools_build.report.paid_jobs import JobLine
    from motools_build.report.watched import OfSetting, Watched
    from motools_build.store.progress import UnderWay

SHARED = 0.9
"""Seconds for which a moment that was looked up answers further requests, too."""

REST = 9.0
"""After a look-up of the settings, so many times its duration none is made, even if
something changed."""

UNCHANGED, REST_UNCHANGED = 20.0, 50.0
"""Seconds after which the settings are looked up even if nothing is known to have
changed, since a setting may read files that are not watched; and the same as a number
of durations of a look-up."""

PATIENCE = 1.5
"""Seconds that a look waits for a look-up of the settings. After that, runs are shown
with the results of the look-up before."""

MOST_FILES = 3000
"""Most files of `zoo/` and `datasets/` that are watched."""


class Looked(NamedTuple):
    """What a look-up of the settings found, and what it took."""

    settings: tuple[OfSetting, ...]
    jobs: tuple[JobLine, ...]
    problem: str
    at: float
    """When it began, in seconds since the epoch."""
    seconds: float
    seen: object
    """The state of the watched files before it."""


class Watch:
    """Looks at settings of the project in the working directory, again and again.

    Runs are read at each look, at most once a second. Settings are planned anew, with
    everything imported anew, when a watched file or a run has changed, and now and then
    without. May be used from several threads.
    """

    def __init__(self, names: tuple[str, ...], variables: Mapping[str, str]) -> None:
        self._names, self._variables = names, dict(variables)
        self._folder = Path.cwd()
        self._live = ArtifactStore(ARTIFACTS).live
        self._turn = threading.Lock()
        self._looked: Looked | None = None
        self._failed: BaseException | None = None
        """What the latest look-up raised though it should not."""
        self._worker: threading.Thread | None = None
        self._moment: tuple[float, Watched] | None = None
        self.look_ups = 0
        """Number of look-ups of the settings so far."""

    def now(self) -> Watched:
        """The settings and runs as they are now, or were less than a second ago. While
        a long look-up goes on, the settings are those of the one before."""
        with self._turn:
            if self._moment and time.monotonic() - self._moment[0] < SHARED:
                return self._moment[1]
            found = self._look()
            self._moment = time.monotonic(), found
            return found

    def _look(self) -> Watched:
        from motools_build.report.watched import Watched

        runs, last = self._live.runs_under_way(), self._live.last_run()
        seen = [*_files()], [_state(run) for run in runs]
        found = self._settings(seen)
        if last is not None:
            # a run that was killed after it had told its end has ended
            told = (last.pid, last.started)
            runs = tuple(
                run
                for run in runs
                if run.alive
                or run.snapshot is None
                or (run.snapshot.pid, run.snapshot.started) != told
            )
            if not {*last.settings} & {*self._names}:
                last = self._moment[1].last if self._moment else None
        shown = Watched(self._names, time.time(), runs=runs, last=last)
        if found is None:
            return shown
        of_settings = (found.settings, found.jobs, found.at, found.problem)
        return Watched(self._names, shown.now, *of_settings, runs=runs, last=last)

    def _settings(self, seen: object) -> Looked | None:
        """The latest look-up, made anew if it is due and does not take too long. None
        while the first one goes on."""
        is_at_work = self._worker is not None and self._worker.is_alive()
        before = self._looked
        if not is_at_work and (before is None or self._is_due(before, seen)):
            self._worker = threading.Thread(
                target=self._work, args=(seen,), name="look-up", daemon=True
            )
            self._worker.start()
        if self._worker is not None:
            self._worker.join(PATIENCE)
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        return self._looked

    def _work(self, seen: object) -> None:
        try:
            self._looked = self._look_up(seen)
        except BaseException as error:  # noqa: BLE001 - raised by the look
            self._failed = error

    @staticmethod
    def _is_due(before: Looked, seen: object) -> bool:
        """Whether the settings are to be looked up again."""
        passed = time.time() - before.at - before.seconds
        if passed < 0:  # the clock was set back
            return True
        if before.seen != seen and passed >= REST * before.seconds:
            return True
        return passed >= max(UNCHANGED, REST_UNCHANGED * before.seconds)

    def _look_up(self, seen: object) -> Looked:
        self.look_ups += 1
        at, began = time.time(), time.monotonic()
        settings: tuple[OfSetting, ...] = ()
        jobs: tuple[JobLine, ...] = ()
        problem = ""
        try:
            settings, jobs = in_folder(self._folder, self._found)
        except (MotoolsError, OSError) as error:
            problem = str(error)
        except KeyboardInterrupt:  # the user's Ctrl-C goes to the main thread
            problem = "a setting's module raised KeyboardInterrupt"
        took = time.monotonic() - began
        return Looked(settings, jobs, problem, at, took, seen)

    def _found(self) -> tuple[tuple[OfSetting, ...], tuple[JobLine, ...]]:
        from motools_build.report.cluster_jobs import under_way

        project = Project(self._variables)
        project.derive.always = False
        settings = tuple(_of_setting(project, name) for name in self._names)
        return settings, tuple(under_way(project.store, {*self._names}))


def _of_setting(project: Project, name: str) -> OfSetting:
    """How far a setting is. One that cannot be planned hides nothing of the others."""
    from motools_build.project.declaring import standing
    from motools_build.report.watched import OfSetting, of_setting

    try:
        plan = project.plan(name)
        return of_setting(plan, project.store, standing(project, name))
    except MotoolsError as error:
        return OfSetting(name, broken=str(error))


def _state(run: UnderWay) -> object:
    """What a run tells of the states of its stages: it changes when a stage begins or
    ends, not with each step."""
    told = run.snapshot
    if told is None:
        return run.id, run.alive
    counts = {kind: dict(of) for kind, of in told.counts.items()}
    return run.id, run.alive, counts, [one.name for one in told.running]


def _files() -> Iterator[tuple[str, int, int]]:
    """The files from which settings and results are made, with their times and sizes.
    Of artifacts, which never change, only the folders that they are added to."""
    parts = (*KINDS, "state", "ledger.jsonl", "runs.jsonl")
    places = [PYPROJECT, ".env", *(f"{ARTIFACTS}/{part}" for part in parts)]
    for place in (*places, *_below("zoo", "datasets")):
        try:
            found = os.stat(place)
        except OSError:
            continue
        yield place, found.st_mtime_ns, found.st_size


def _below(*folders: str) -> Iterator[str]:
    left = MOST_FILES
    for top in folders:
        for folder, inner, files in os.walk(top):
            inner[:] = sorted(n for n in inner if n != "__pycache__" and n[0] != ".")
            for name in sorted(files)[:left]:
                yield f"{folder}/{name}"
            left -= min(left, len(files))
            if not left:
                return
