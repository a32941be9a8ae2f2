"""`doit run --json`: a JSON object a line for each event, for programs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from motools_build.doit_host.reporter import Reporter
from motools_build.doit_host.watching.listener import Listener
from motools_build.text.scrub import scrub_values
from motools_build.text.visible import Scrubbed

if TYPE_CHECKING:
    from motools_build.backends.job import Progress
    from motools_build.doit_host.session import Session
    from motools_build.doit_host.watching.state import RunState
    from motools_build.doit_host.watching.summary import Summary
    from motools_build.project.sequential import Sequential
    from motools_build.stages import Stage
    from motools_build.store.records import Record

EVERY = 1.0
"""Least number of seconds between two `progress` events of a stage."""


class Events(Listener):
    """Writes the events. docs/reference/events.md has their fields, which are a
    promise: fields may be added, and none changes its meaning."""

    def __init__(self, stream: Scrubbed, session: Session) -> None:
        self._stream, self._session = stream, session
        self._last: dict[str, float] = {}
        """Stage name -> when its last progress was written."""

    def up_to_date(self, names: Sequence[str]) -> None:
        for name in names:
            self._named("up_to_date", name, self._session.stages.get(name))

    def begun(self, run: RunState) -> None:
        told = {"settings": list(run.settings), "variables": run.variables}
        self._write("run_started", **told, pid=os.getpid())

    def started(self, name: str, stage: Stage | None, reason: str) -> None:
        self._named("stage_started", name, stage, reason=reason)

    def progressed(self, stage: Stage, progress: Progress) -> None:
        now, last = time.monotonic(), self._last.get(stage.name)
        ends = progress.unit != "" and progress.done == progress.total
        if last is not None and now - last < EVERY and not ends:
            return
        self._last[stage.name] = now
        counted = {"done": progress.done, "total": progress.total}
        told = {**counted, "unit": progress.unit, "note": progress.note}
        self._named("progress", stage.name, stage, **told)

    def made(self, stage: Stage, record: Record | None) -> None:
        details = record.details if record else {}
        told: dict[str, Any] = {
            "seconds": record.made["seconds"] if record else None,
            "cost": details.get("cost"),
        }
        if "scores" in details:
            told["results"] = details["scores"]
        self._named("stage_made", stage.name, stage, **told)

    def ran(self, name: str) -> None:
        self._named("stage_made", name, None, seconds=None, cost=None)

    def taken(self, stage: Stage, how: str) -> None:
        self._named("up_to_date", stage.name, stage, reason=how)

    def deferred(self, name: str, why: str) -> None:
        stage = self._session.stages.get(name)
        self._named("stage_deferred", name, stage, reason=why)

    def failed(self, name: str, stage: Stage | None, why: str) -> None:
        from motools_build.report.failures import again

        lines = why.strip().splitlines()
        told: dict[str, Any] = {"error": why, "remedy": again([name])}
        if stage is not None:
            remembered = self._session.project.store.states.failure(stage.key)
            told["log"] = remembered.log if remembered else None
            if remembered and remembered.error == "JobFailed":
                told["remedy"] = lines[-1] if lines else ""
        self._named("stage_failed", name, stage, **told)

    def not_run(self, name: str) -> None:
        stage = self._session.stages.get(name)
        self._named("stage_not_run", name, stage, reason="what it needs failed")

    def interrupted(self, names: Sequence[str]) -> None:
        for name in names:
            stage = self._session.stages.get(name)
            self._named("stage_interrupted", name, stage)

    def warned(self, text: str) -> None:
        self._write("warning", message=text)

    def adding(self, found: Sequential) -> None:
        for one in found.wanted:
            seed = found.last_seed(one.group)
            told = one.as_json(found.until)
            self._write("seed_added", setting=found.name, seed=seed, **told)

    def settled(self, found: Sequential) -> None:
        for one in found.groups:
            told = one.as_json(found.until)
            self._write("until", setting=found.name, **told, lost=one.lost or None)

    def ended(self, summary: Summary) -> None:
        left = summary.left if summary.run.has_begun else {}
        self._write(
            "run_ended",
            counts={what: n for what, n in summary.counts.items() if n},
            interrupted=summary.interrupted,
            seconds=round(summary.seconds, 2),
            cost=summary.cost,
            cost_so_far=summary.cost_so_far(),
            left=left,
            again=summary.again if left else None,
        )

    def _named(self, event: str, name: str, stage: Stage | None, **told: Any) -> None:
        """Write an event of a stage, or of a task of the user's own."""
        kind, _, path = name.partition(":")
        self._write(
            event,
            stage=name,
            setting=path.partition("/")[0] if path else None,
            kind=kind if path else "task",
            key=stage.key if stage else None,
            **told,
        )

    def _write(self, event: str, **fields: Any) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        told = {"event": event, "time": moment, **scrub_values(fields)}
        try:
            self._stream.write(json.dumps(told) + "\n")
            self._stream.flush()
        except BrokenPipeError:  # as in `doit run --json | head`: the run goes on
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


class JsonReporter(Reporter):
    """doit's reporter for `doit run --json`. What doit itself writes of the user's own
    tasks goes to standard error."""

    desc = "a JSON object a line for each event; the same as --json"

    def __init__(self, outstream: Any, options: dict[str, Any]) -> None:
        super().__init__(outstream, options)
        import sys

        self.outstream = sys.stderr

    def _first(self, outstream: Scrubbed) -> Listener:
        return Events(outstream, self.session)


@contextmanager
def only_events(ends: bool) -> Iterator[Scrubbed]:
    """Give the standard output for events alone: what anything else writes there goes
    to standard error within the block, and, if the process `ends` with it, also what
    the user's own programs write."""
    import sys

    out: Any = sys.stdout
    if not ends:
        with redirect_stdout(sys.stderr):
            yield out if isinstance(out, Scrubbed) else Scrubbed(out)
        return
    out.flush()
    with open(os.dup(1), "w", encoding="utf-8") as own, redirect_stdout(sys.stderr):
        os.dup2(2, 1)
        yield Scrubbed(own)


def refused(stream: Scrubbed, message: str) -> None:
    """Write the event of a command that was refused before anything was run."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    told = {"event": "refused", "time": moment, "error": message}
    stream.write(json.dumps(told) + "\n")
    stream.flush()
