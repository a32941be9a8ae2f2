"""A run for people: a line for each event, and live progress on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from motools_build.doit_host.bars import Lines
from motools_build.doit_host.watching.durations import at
from motools_build.doit_host.watching.listener import Listener
from motools_build.errors import JobFailed
from motools_build.text import hints
from motools_build.text.visible import Scrubbed, shown

if TYPE_CHECKING:
    from motools_build.backends.job import Progress
    from motools_build.doit_host.session import Session
    from motools_build.doit_host.watching.display import Display
    from motools_build.doit_host.watching.state import RunState
    from motools_build.doit_host.watching.summary import Summary
    from motools_build.project.sequential import Sequential
    from motools_build.stages import Stage
    from motools_build.store.records import Record

TABLES = 5
"""Most results tables that are printed at the end of a run."""

ROWS = 50
"""Most models in a table at the end of a run; `doit results` shows all."""

SOON = 0.3
"""Seconds after which the display appears: a run that is done by then needs none."""

OVERALL = 60.0
"""Seconds between two lines about the whole run, where there is no terminal."""


class Console(Listener):
    """Writes a run's lines. Where there is no terminal, each line about an event of the
    run ends with the time of day: a line begins with its mark, as scripts expect."""

    def __init__(self, stream: Scrubbed, session: Session) -> None:
        self._stream, self._session = stream, session
        self._run: RunState | None = None
        self._display: Display | None = None
        self._is_live = is_live(stream)
        self._lines = Lines()
        self._last = 0.0
        """When the run began, or its last line about all of it was shown."""
        self._told: set[str] = set()
        self._not_run: list[str] = []
        self._settled: list[str] = []
        """Lines about what `until=` came to."""

    def up_to_date(self, names: Sequence[str]) -> None:
        self._line("\n".join(f"-- {name}" for name in names))

    def begun(self, run: RunState) -> None:
        self._run, self._last = run, time.monotonic()
        if self._is_live:
            self._display = self._opened(run)

    def started(self, name: str, stage: Stage | None, reason: str) -> None:
        self._event(f".  {name}" + (f"  ({reason})" if reason else ""))

    def progressed(self, stage: Stage, progress: Progress) -> None:
        if self._is_live or self._run is None:
            return
        text = self._lines.of(stage.name, progress, len(self._run.running))
        if text:
            self._event(f"   {stage.name}  {text}")

    def made(self, stage: Stage, record: Record | None) -> None:
        seconds = record.made["seconds"] if record else 0.0
        self._event(f"   {stage.name}  made in {seconds:.1f} s")
        if record and stage.asks:
            from motools_build.report.reading import told

            for line in told(record):  # what is not in its key, once for all its models
                if line not in self._told:
                    self._told.add(line)
                    self._line(f"   {line}")

    def taken(self, stage: Stage, how: str) -> None:
        self._event(f"   {stage.name}  {how}")

    def deferred(self, name: str, why: str) -> None:
        self._event(f"-> {name}  deferred{f': {why}' if why else ''}")

    def failed(self, name: str, stage: Stage | None, why: str) -> None:
        if stage is not None:  # doit tells of the user's own tasks
            self._event(f"!! {name}  failed")

    def not_run(self, name: str) -> None:
        self._not_run.append(name)

    def ignored(self, name: str) -> None:
        self._line(f"!! {name}  (ignored: `doit forget` makes it count again)")

    def interrupted(self, names: Sequence[str]) -> None:
        for name in names:
            self._event(f"!! {name}  interrupted")

    def warned(self, text: str) -> None:
        self._line(f"warning: {text}")

    def adding(self, found: Sequential) -> None:
        for one in found.wanted:
            group = ", ".join(filter(None, one.group))
            seed = found.last_seed(one.group)
            self._event(f"+  {found.name}  {group}: seed {seed} ({one.half})")

    def settled(self, found: Sequential) -> None:
        self._settled += found.told()

    def tick(self) -> None:
        if self._run is None or not self._run.running:
            return
        if self._display is not None:
            if time.monotonic() - self._last >= SOON:
                self._display.refresh()
            return
        now = time.monotonic()
        if self._lines.many(len(self._run.running)) and now - self._last >= OVERALL:
            from motools_build.doit_host.watching.overall import overall

            self._last = now
            self._event(f"   {overall(self._run)}")

    def closing(self) -> None:
        if self._display is not None:
            self._display.stop()

    def ended(self, summary: Summary) -> None:
        self._explain_all(summary)
        for name in self._not_run:
            self._line(f"!! {name}  not run: what it needs failed")
        for line in summary.lines():
            self._line(line)
        if summary.interrupted:
            self._line("interrupted; what is made is kept: run again to go on")
        elif summary.touched:
            self._results(list(summary.touched))
        for line in self._settled:
            self._line(line)

    # ---- details

    def _results(self, touched: list[str]) -> None:
        from motools_build.project.declaring import standing
        from motools_build.report.drawing.results import print_results
        from motools_build.report.table import table

        if len(touched) > TABLES:
            more = f"{len(touched) - TABLES} more of {len(touched)} tables"
            self._line(f"({more}: {hints.command('results', 'SETTING')})")
        project = self._session.project
        for name in touched[:TABLES]:
            own = standing(project, name)
            found = table(project.plan(name), project.store, ROWS, own)
            print_results(found, self._stream, str(project.store.root))

    def _explain_all(self, summary: Summary) -> None:
        """Print each reason of failure once: its stages, the reason, and a remedy."""
        from motools_build.report.failures import again, by_reason, together

        stages = self._session.stages
        said = {n: why for n, why in summary.failures.items() if n in stages}
        for names in by_reason(said.items()):
            stage = stages[names[0]]
            remembered = self._session.project.store.states.failure(stage.key)
            self._line("")
            self._line(f"FAILED {together(names)}")
            self._line(f"   {said[names[0]]}")
            if remembered and remembered.log:
                self._line(f"   log: {remembered.log}")
            is_accepted = self._session.project.store.accepted.of(stage.key)
            final = remembered is not None and remembered.error == JobFailed.__name__
            if not final and not is_accepted:  # the reason says what to do instead
                which = "it" if len(names) == 1 else "them"
                self._line(f"   to try {which} again: {again(names)}")

    def _opened(self, run: RunState) -> Display:
        from motools_build.doit_host.watching.display import Display

        terminal = Scrubbed(self._stream.stream)
        ours = {id(s): s for s in (self._stream, sys.stdout, sys.stderr)}
        streams = [s for s in ours.values() if isinstance(s, Scrubbed) and s.isatty()]
        return Display(run, terminal, streams)  # type: ignore[arg-type]

    def _event(self, text: str) -> None:
        self._line(text if self._is_live else f"{text}  {at()}")

    def _line(self, text: str) -> None:
        try:
            self._stream.write(shown(text) + "\n")
            self._stream.flush()
        except BrokenPipeError:  # as in `doit run | head`: the run goes on, unread
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def is_live(stream: Scrubbed) -> bool:
    """Whether a display can be drawn there: on a terminal that moves its cursor, and
    that is not the log of a build server."""
    if not bool(getattr(stream, "isatty", lambda: False)()):
        return False
    return os.environ.get("TERM") not in ("dumb", "unknown") and not in_ci()


def in_ci() -> bool:
    """Whether the environment says that this is a build server (`CI=true`)."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")
