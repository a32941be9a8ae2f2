"""The reporter: doit's events and our runner's, passed on to the run's listeners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from doit.exceptions import BaseFail, TaskError, UnmetDependency
from doit.reporter import ConsoleReporter
from doit.task import Task

from motools_build.doit_host.session import current
from motools_build.doit_host.tasks import DONE, reached
from motools_build.doit_host.watching.console import Console
from motools_build.doit_host.watching.listener import Listener
from motools_build.doit_host.watching.state import TASK, RunState
from motools_build.doit_host.watching.summary import Summary
from motools_build.errors import MotoolsError, in_words
from motools_build.running import LOGGER
from motools_build.stages import Stage
from motools_build.text.visible import Scrubbed

if TYPE_CHECKING:
    from motools_build.backends.job import Progress
    from motools_build.project.sequential import Sequential


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """doit's reporter for a run, registered as `motools` in `doit_host.main`."""

    desc = "a line for each stage, progress, results"

    def __init__(self, outstream: Any, options: dict[str, Any]) -> None:
        if not isinstance(outstream, Scrubbed):
            outstream = Scrubbed(outstream)
        super().__init__(outstream, options)
        self.session = session = current()
        self.run = RunState(session.selected, session.project.variables)
        self.summary = Summary(self.run, session.project, session.selected)
        self.listeners: list[Listener] = [self._first(outstream)]
        """The first shows the run; an error of another costs only that listener."""
        self._taken: set[str] = set()
        self._tasks: dict[str, Task] = {}

    def _first(self, outstream: Scrubbed) -> Listener:
        """The listener that shows the run."""
        return Console(outstream, self.session)

    # ---- doit's events

    def initialize(self, tasks: dict[str, Task], selected: list[str]) -> None:
        self._tasks = tasks
        self.summary = Summary(self.run, self.session.project, selected)
        groups = [task for task in tasks.values() if task.name in self.session.groups]
        done = [name for group in groups for name in (group.meta or {}).get(DONE, ())]
        if done:
            self._up_to_date(done)

    def execute_task(self, task: Task) -> None:
        stage = self._stage(task)
        if stage is None:
            if task.actions and not task.name.startswith("_"):
                self.run.begin(task.name, "", TASK)
                self._tell("started", task.title(), None, "")
            return
        reason = self.session.project.store.why_stale(stage) or "asked for again"
        self.run.begin(task.name, stage.key, stage.kind)
        self._tell("started", task.name, stage, reason)

    def add_success(self, task: Task) -> None:
        stage = self._stage(task)
        if stage is None:
            if task.actions:
                self.run.end(task.name, "ran")
                self.summary.counts["ran"] += 1
                self._tell("ran", task.name)
            return
        if task.name in self._taken:
            same = stage.sampled is not None
            outcome = "up to date" if same else "taken from another run"
            self.summary.counts[outcome] += 1
            self.run.end(task.name, "up to date" if same else "taken", stage)
            how = "its teacher wrote the same rows" if same else outcome
            self._tell("taken", stage, how)
            return
        self.summary.counts["made"] += 1
        self.summary.touched[stage.setting] = None
        self.run.end(task.name, "made", stage)
        self._tell("made", stage, self.session.project.store.get(stage))

    def skip_uptodate(self, task: Task) -> None:
        if task.name in self.session.groups or self.run.is_over(task.name):
            return  # with `until=`, what a round has made is up to date in the next
        self._up_to_date([task.name])

    def skip_ignore(self, task: Task) -> None:
        self.summary.counts["ignored"] += 1
        self.run.end(task.name, "ignored")
        self._tell("ignored", task.name)

    def add_failure(self, task: Task, fail: BaseFail) -> None:
        stage = self._stage(task)
        if isinstance(fail, UnmetDependency):
            if task.name not in self.session.groups:
                self.summary.counts["not run"] += 1
                self.run.end(task.name, "not run", stage)
                self._tell("not_run", task.name)
            return
        said = fail.get_msg() if isinstance(fail, TaskError) else fail.message
        why = str(said).rstrip()
        self.summary.counts["failed"] += 1
        self.summary.failures[task.name] = why
        self.run.fail(task.name, stage, why)
        if stage is None:
            super().add_failure(task, fail)
        else:
            self.summary.touched[stage.setting] = None
        self._tell("failed", task.name, stage, why)

    def complete_run(self) -> None:
        self._tell("closing")
        super().complete_run()
        self._tell("ended", self.summary)

    # ---- our runner's events

    def begun(self) -> None:
        """The run has something to do."""
        from motools_build.running.spent_since import SpentSince
        from motools_build.store.runs import moment

        session = self.session
        needed = reached(self._tasks, self.summary.selected)
        stages = [s for task in needed if (s := session.stages.get(task.name))]
        spent = SpentSince(session.project.store.ledger, moment(self.run.started))
        self.run.begin_run(stages, spent)
        self.listeners += self._others()
        self._tell("begun", self.run)

    def _others(self) -> Iterable[Listener]:
        """The listeners besides the first, which a no-op does not have."""
        if self.session.place is not None:
            from motools_build.doit_host.watching.snapshots import Snapshots

            yield Snapshots(self.session.place)
        yield from self.session.listeners

    def adding(self, found: Sequence[Sequential], tasks: Mapping[str, Task]) -> None:
        """Groups of these settings get another seed each, which the tasks make."""
        self._tasks.update(tasks)
        self.run.counts()  # so that `is_over` knows what was up to date
        if self.run.spent is not None:
            stages = (self.session.stages.get(name) for name in tasks)
            self.run.begin_run(filter(None, stages), self.run.spent)
        for one in found:
            self._tell("adding", one)

    def settled(self, found: Sequential) -> None:
        """No more seeds are added to a setting."""
        self._tell("settled", found)

    def tick(self) -> None:
        """A moment has passed."""
        self._tell("tick")

    def taken(self, task: Task) -> None:
        """The stage needed no work: another process made it, or its rows are equal."""
        self._taken.add(task.name)

    def deferred(self, task: Task, why: str) -> None:
        """The stage, or one that it needs, is left to a later run: no failure."""
        if task.name in self.session.groups:
            return
        self.not_asked(task)
        self._tell("deferred", task.name, why)

    def not_asked(self, task: Task) -> None:
        """The stage's account was given up; one stage's failure reports it for all."""
        if task.name not in self.session.groups:
            self.summary.counts["deferred"] += 1
            self.run.end(task.name, "deferred", self._stage(task))

    def duplicates(self, lines: list[str]) -> None:
        """Lines about jobs that another machine paid for, too."""
        for line in lines:
            self._tell("warned", f"paid twice: {line}")

    def warned(self, warnings: list[str]) -> None:
        """Inspect's warnings about the evals that were loaded before the run."""
        for said in warnings:
            self._tell("warned", said)

    def interrupted(self, running: list[str]) -> None:
        """A signal ended the run, and with it the running stages."""
        self.summary.interrupted = True
        for name in running:
            self.run.end(name, "interrupted", self.session.stages.get(name))
        self._tell("interrupted", running)

    def progress(self, stage: Stage, progress: Progress) -> None:
        """A running stage has told how far it is."""
        self.run.progress(stage, progress)
        self._tell("progressed", stage, progress)

    # ---- details

    def _up_to_date(self, names: list[str]) -> None:
        self.summary.counts["up to date"] += len(names)
        self.run.up_to_date(names)
        self._tell("up_to_date", names)

    def _stage(self, task: Task) -> Stage | None:
        return self.session.stages.get(task.name)

    def _tell(self, event: str, *args: Any) -> None:
        for listener in [*self.listeners]:
            try:
                getattr(listener, event)(*args)
            except Exception as error:
                if listener is self.listeners[0]:
                    raise
                self.listeners.remove(listener)
                name = type(listener).__name__.lower()
                LOGGER.exception("%s: left out for the rest of the run", name)
                ours = isinstance(error, MotoolsError)
                said = str(error) if ours else f"{name}: {in_words(error)}"
                self._tell("warned", said)
