"""The reporter: a line for each stage, and live progress on a terminal."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from doit.exceptions import BaseFail, TaskError, UnmetDependency
from doit.reporter import ConsoleReporter
from doit.task import Task

from motools_build.doit_host.bars import Lines, short_names, widths, words
from motools_build.doit_host.session import current
from motools_build.doit_host.tasks import DONE
from motools_build.errors import JobFailed
from motools_build.stages import Stage
from motools_build.store.records import Record
from motools_build.text import hints
from motools_build.text.visible import Scrubbed, shown

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from motools_build.backends.job import Progress

COUNTED = (
    *("made", "ran", "taken from another run", "up to date"),
    *("deferred", "failed", "not run", "ignored"),
)
"""Outcomes of stages that the last line counts; `ran` counts the user's own tasks."""

TABLES = 5
"""Most results tables that are printed at the end of a run."""

ROWS = 50
"""Most models in a table at the end of a run; `doit results` shows all."""


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """doit's reporter for a run, registered as `motools` in `doit_host.main`."""

    desc = "a line for each stage, progress, results"

    def __init__(self, outstream: Any, options: dict[str, Any]) -> None:
        if not isinstance(outstream, Scrubbed):
            outstream = Scrubbed(outstream)
        super().__init__(outstream, options)
        self.session = current()
        self.failures: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter()
        self._not_run: list[str] = []
        self._taken: set[str] = set()
        self._told: set[str] = set()
        self._interrupted = False
        self._touched: dict[str, None] = {}  # settings of stages made or failed
        self._lines = Lines()
        self._bars: Bars | None = None
        self._bar_of: dict[str, TaskID] = {}
        self._duplicates: list[str] = []
        self._live = bool(getattr(outstream, "isatty", lambda: False)())

    # ---- doit's events

    def initialize(self, tasks: dict[str, Task], selected: list[str]) -> None:
        groups = [task for task in tasks.values() if task.name in self.session.groups]
        done = [name for group in groups for name in (group.meta or {}).get(DONE, ())]
        self._counts["up to date"] += len(done)
        if done:
            self._line("\n".join(f"-- {name}" for name in done))

    def execute_task(self, task: Task) -> None:
        stage = self._stage(task)
        if stage is None:
            if task.actions:
                super().execute_task(task)
            return
        reason = self.session.project.store.why_stale(stage) or "asked for again"
        self._line(f".  {task.name}  ({reason})")

    def add_success(self, task: Task) -> None:
        self._end_bar(task.name)
        stage = self._stage(task)
        if stage is None:
            self._counts["ran"] += bool(task.actions)
            return
        if task.name in self._taken:
            same = stage.sampled is not None
            self._counts["up to date" if same else "taken from another run"] += 1
            how = (
                "its teacher wrote the same rows" if same else "taken from another run"
            )
            self._line(f"   {task.name}  {how}")
            return
        self._counts["made"] += 1
        self._touched[stage.setting] = None
        record = self.session.project.store.get(stage)
        seconds = record.made["seconds"] if record else 0.0
        self._line(f"   {task.name}  made in {seconds:.1f} s")
        if record and stage.asks:
            self._tell_of_reading(record)

    def _tell_of_reading(self, record: Record) -> None:
        """Print what an eval read that is not in its key, once for all its models."""
        from motools_build.report.reading import told

        for line in told(record):
            if line not in self._told:
                self._told.add(line)
                self._line(f"   {line}")

    def taken(self, task: Task) -> None:
        """The stage needed no work: another process made it, or its rows are equal."""
        self._taken.add(task.name)

    def deferred(self, task: Task, why: str) -> None:
        """The stage, or one that it needs, is left to a later run: no failure."""
        self._end_bar(task.name)
        if task.name in self.session.groups:
            return
        self._counts["deferred"] += 1
        self._line(f"-> {task.name}  deferred{f': {why}' if why else ''}")

    def not_asked(self, task: Task) -> None:
        """The stage's account was given up; one stage's failure reports it for all."""
        self._end_bar(task.name)
        if task.name not in self.session.groups:
            self._counts["deferred"] += 1

    def duplicates(self, lines: list[str]) -> None:
        """Store lines about jobs that another machine paid for, too."""
        self._duplicates = lines

    def warned(self, warnings: list[str]) -> None:
        """Print Inspect's warnings about the evals that were loaded before the run."""
        for said in warnings:
            self._line(f"warning: {said}")

    def interrupted(self, running: list[str]) -> None:
        """A signal ended the run, and with it the running stages."""
        self._interrupted = True
        for name in running:
            self._end_bar(name)
            self._line(f"!! {name}  interrupted")

    def skip_uptodate(self, task: Task) -> None:
        if task.name not in self.session.groups:
            self._line(f"-- {task.name}")
            self._counts["up to date"] += 1

    def skip_ignore(self, task: Task) -> None:
        self._counts["ignored"] += 1
        self._line(f"!! {task.name}  (ignored: `doit forget` makes it count again)")

    def add_failure(self, task: Task, fail: BaseFail) -> None:
        self._end_bar(task.name)
        stage = self._stage(task)
        if isinstance(fail, UnmetDependency):
            if task.name not in self.session.groups:
                self._not_run.append(task.name)
            return
        self._counts["failed"] += 1
        if stage is None:
            super().add_failure(task, fail)
            return
        self._touched[stage.setting] = None
        self.failures.append({"task": task, "exception": fail})
        self._line(f"!! {task.name}  failed")

    def progress(self, stage: Stage, progress: Progress) -> None:
        """Show the progress of a running stage."""
        if self._live:
            self._bar(stage, progress)
            return
        text = self._lines.of(stage.name, progress)
        if text:
            self._line(f"   {stage.name}  {text}")

    def complete_run(self) -> None:
        if self._bars:
            self._bars.stop()
        own = [f for f in self.failures if self._stage(f["task"]) is None]
        stages = [f for f in self.failures if self._stage(f["task"]) is not None]
        self.failures = own
        super().complete_run()
        self._explain_all(stages)
        for name in self._not_run:
            self._line(f"!! {name}  not run: what it needs failed")
        for line in self._duplicates:
            self._line(f"paid twice: {line}")
        self._counts["not run"] = len(self._not_run)
        counts = [f"{self._counts[what]} {what}" for what in COUNTED]
        said = [count for count in counts if not count.startswith("0 ")]
        self._line(", ".join(said) if said else "nothing to do")
        if self._interrupted:
            self._line("interrupted; what is made is kept: run again to go on")
        elif self._touched:
            from motools_build.report.drawing.results import print_results
            from motools_build.report.table import table

            touched = list(self._touched)
            if len(touched) > TABLES:
                more = f"{len(touched) - TABLES} more of {len(touched)} tables"
                self._line(f"({more}: {hints.command('results', 'SETTING')})")
            project = self.session.project
            for name in touched[:TABLES]:
                found = table(project.plan(name), project.store, ROWS)
                print_results(found, self.outstream, str(project.store.root))

    # ---- details

    def _explain_all(self, failures: list[dict[str, Any]]) -> None:
        """Print each reason of failure once: its stages, the reason, and a remedy."""
        from motools_build.report.failures import again, by_reason, together

        said = {
            f["task"].name: self._reason(f["task"], f["exception"]) for f in failures
        }
        for names in by_reason(said.items()):
            stage = self.session.stages[names[0]]
            remembered = self.session.project.store.states.failure(stage.key)
            self._line("")
            self._line(f"FAILED {together(names)}")
            self._line(f"   {said[names[0]]}")
            if remembered and remembered.log:
                self._line(f"   log: {remembered.log}")
            if remembered is None or remembered.error != JobFailed.__name__:
                which = "it" if len(names) == 1 else "them"
                self._line(f"   to try {which} again: {again(names)}")

    def _reason(self, task: Task, fail: BaseFail) -> str:
        if isinstance(fail, TaskError):
            return str(fail.get_msg()).rstrip()
        return str(fail.message)

    def _stage(self, task: Task) -> Stage | None:
        return self.session.stages.get(task.name)

    def _line(self, text: str) -> None:
        text = shown(text)
        try:
            if self._bars:
                self._bars.console.print(text, markup=False, highlight=False)
            else:
                self.outstream.write(text + "\n")
                self.outstream.flush()
        except BrokenPipeError:  # as in `doit run | head`: the run goes on, unread
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.outstream.fileno())

    def _bar(self, stage: Stage, progress: Progress) -> None:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            console = Console(file=self.outstream, soft_wrap=True)
            _, bar, _ = widths(console.width)
            self._bars = Bars(
                TextColumn("   {task.description}", markup=False),
                BarColumn(bar_width=bar),
                TextColumn("{task.fields[words]}", markup=False),
                TimeElapsedColumn(),
                console=console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bars.start()
        if stage.name not in self._bar_of:
            self._bar_of[stage.name] = self._bars.add_task("", words="")
            self._name_bars()
        *_, said = widths(self._bars.console.width)
        self._bars.update(
            self._bar_of[stage.name],
            completed=progress.done,
            total=progress.total or None,
            words=shown(words(progress, said)),
        )

    def _end_bar(self, name: str) -> None:
        bar = self._bar_of.pop(name, None)
        if bar is not None and self._bars:
            self._bars.remove_task(bar)
            self._name_bars()

    def _name_bars(self) -> None:
        """Label each bar by what distinguishes its stage from those of other bars."""
        assert self._bars is not None
        names = list(self._bar_of)
        width, *_ = widths(self._bars.console.width)
        for name, short in zip(names, short_names(names, width), strict=True):
            self._bars.update(self._bar_of[name], description=shown(short))
