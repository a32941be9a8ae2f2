"""The log of decisions, `artifacts/logs/doit.log`: hits and misses with reasons."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from motools_build.doit_host.session import Session
from motools_build.running.runtime import LOGGER
from motools_build.text.visible import shown

SIZE, KEPT = 10_000_000, 3
"""Bytes of a log file after which the next run begins a new one; older ones kept."""


class _Shown(logging.Formatter):
    """A line as a person may see it, tracebacks included: logs are sent to others."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))


@contextmanager
def logged(session: Session) -> Iterator[None]:
    """Log what a run decides and does, for as long as it lasts.

    Stages that need no task are one line for each setting, and nothing is logged where
    no stage has one: nothing to do must cost nothing.
    """
    from logging.handlers import RotatingFileHandler

    path = session.project.store.root / "logs/doit.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > SIZE:
        RotatingFileHandler(path, backupCount=KEPT, delay=True).doRollover()
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(_Shown("%(asctime)s %(process)d %(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    level, propagates = LOGGER.level, LOGGER.propagate
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.propagate = False  # the log is a file's, never the terminal's
    try:
        for setting, names in session.done.items():
            if names:
                LOGGER.debug("hit in %s: %s", setting, " ".join(names))
        for stage in session.stages.values():
            reason = session.project.store.why_stale(stage)
            if reason is None:
                LOGGER.debug("hit %s %s", stage.name, stage.key)
            else:
                LOGGER.debug("miss %s %s: %s", stage.name, stage.key, reason)
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagates
        handler.close()
