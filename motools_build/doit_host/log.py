"""The run's log, `artifacts/logs/doit.log`: hits, misses and their reasons."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from motools_build.doit_host.session import Session
from motools_build.running import LOGGER
from motools_build.text.visible import shown

SIZE, KEPT = 10_000_000, 3
"""Size of a log file, in bytes, above which the next run begins a new file; number of
older files kept."""


class _Shown(logging.Formatter):
    """Removes secrets and control characters from each line, tracebacks included,
    because users send logs to others."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))


@contextmanager
def logged(session: Session) -> Iterator[None]:
    """Log the decisions and actions of a run while it lasts.

    Up-to-date stages without a task share one line for each setting.
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
    LOGGER.propagate = False  # log lines go to the file only, never to the terminal
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
