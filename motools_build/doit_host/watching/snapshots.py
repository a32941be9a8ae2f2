"""Telling other processes how far a run is."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from motools_build.doit_host.watching.listener import Listener
from motools_build.running import LOGGER
from motools_build.text.scrub import scrub, scrub_values

if TYPE_CHECKING:
    from motools_build.doit_host.watching.state import RunState
    from motools_build.doit_host.watching.summary import Summary
    from motools_build.store.live import OwnProgress
    from motools_build.store.progress import Snapshot

EVERY = 1.0
"""Least number of seconds between two snapshots."""


class Snapshots(Listener):
    """Writes a run's snapshot, at most once in `EVERY` seconds, and only after a
    change; and at its end what it came to."""

    def __init__(self, place: OwnProgress) -> None:
        self._place = place
        self._run: RunState | None = None
        self._last = -EVERY
        self._told = -1
        """The state's number of changes that was written last."""
        self._broken = False

    def begun(self, run: RunState) -> None:
        self._run = run
        self._write()

    def tick(self) -> None:
        if self._run is not None and self._run.changes != self._told:
            self._write()

    def ended(self, summary: Summary) -> None:
        if self._run is None or self._broken:
            return
        lines = [*summary.lines()]
        if summary.interrupted:
            lines.append("interrupted; what is made is kept: run again to go on")
        told = tuple(scrub(line) for line in lines)
        last = replace(snapshot(self._run), ended=time.time(), summary=told)
        try:
            self._place.tell_end(last)
        except OSError as error:
            LOGGER.warning("the end of the run cannot be written: %s", error)

    def _write(self) -> None:
        """Write the snapshot, if it is time. A full disk costs the snapshot, not the
        run."""
        now = time.monotonic()
        if self._run is None or self._broken or now - self._last < EVERY:
            return
        self._told, self._last = self._run.changes, now
        try:
            self._place.tell(snapshot(self._run))
        except OSError as error:
            self._broken = True
            LOGGER.warning("the run's progress cannot be written: %s", error)


def snapshot(run: RunState) -> Snapshot:
    """The run's state as other processes read it."""
    from motools_build.store.progress import (
        MOST_LISTED,
        FailedStage,
        RunningStage,
        Snapshot,
    )

    queue, running = run.queue(), []
    for one in [*run.running.values()][:MOST_LISTED]:
        told = one.progress
        counted = (told.done, told.total, told.unit) if told and told.unit else ()
        running.append(
            RunningStage(
                *(one.name, one.key, one.kind, one.since, *(counted or (0, 0, ""))),
                note=scrub(told.note) if told else "",
                queue=queue.get(one.name),
                eta=one.eta,
            )
        )
    return Snapshot(
        settings=run.settings,
        pid=os.getpid(),
        host=socket.gethostname(),
        started=run.started,
        written=time.time(),
        variables=scrub_values(run.variables),
        counts={kind: dict(found) for kind, found in run.counts().items()},
        cost=run.cost,
        running=tuple(running),
        failed=tuple(
            FailedStage(name, key, kind, at, scrub(why))
            for name, key, kind, at, why in run.failed
        ),
    )
