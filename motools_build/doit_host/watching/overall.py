"""A run as a whole, in one line: `0:12  models 3/8, 2 running · evals 4/16 · $1.20`."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from motools_build.doit_host.watching.durations import clock
from motools_build.doit_host.watching.summary import several
from motools_build.stages import KINDS, ON_DEMAND

if TYPE_CHECKING:
    from motools_build.doit_host.watching.state import RunState

THERE = ("made", "ran", "taken", "up to date")
"""States of stages that are there."""

TOLD = ("running", "failed", "deferred", "not run")
"""States that are counted besides, if there is room."""


def overall(run: RunState, room: int = 1000) -> str:
    """The line, in no more columns than there are, if that is possible at all."""
    counts = run.counts()
    passed, cost = clock(time.time() - run.started), run.cost
    money = [] if cost is None else [f"${cost:.2f}"]
    for told in (TOLD, TOLD[:2], ()):
        parts = [_of(kind, counts[kind], told) for kind in sorted(counts, key=_order)]
        line = f"{passed}  {' · '.join([*filter(None, parts), *money])}"
        if len(line) <= room:
            break
    return line


def _order(kind: str) -> int:
    """Kinds come in the order in which they are made; the user's own tasks last."""
    return [str(one) for one in (*KINDS, kind)].index(kind)


def _of(kind: str, states: Counter[str], told: tuple[str, ...]) -> str:
    """`models 3/8, 2 running, 1 failed`. What is made only on demand is told while it
    runs or if it failed."""
    there, every = sum(states[state] for state in THERE), sum(states.values())
    said = [f"{states[state]} {state}" for state in told if states[state]]
    if kind in ON_DEMAND and not said:
        return ""
    return ", ".join((f"{several(2, kind)[2:]} {there}/{every}", *said))
