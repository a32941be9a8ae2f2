"""The summary of a run: what became of its stages, what it took, and what is left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from motools_build.doit_host.watching.durations import took
from motools_build.text import hints

if TYPE_CHECKING:
    from motools_build.doit_host.watching.state import RunState
    from motools_build.project.project import Project

COUNTED = (
    *("made", "ran", "taken from another run", "up to date"),
    *("deferred", "failed", "not run", "ignored"),
)
"""Outcomes of stages that the summary counts; `ran` counts the user's own tasks."""

LEFT = frozenset({"waiting", "running", "deferred", "failed", "not run", "interrupted"})
"""States of stages that a later run has to make."""

WORDS = 3
"""Most names that the command for what is left repeats; otherwise it has settings."""


class Summary:
    """What a run came to."""

    def __init__(
        self, run: RunState, project: Project, selected: Sequence[str]
    ) -> None:
        """`selected` are the names of the tasks that the command asked for."""
        self.run = run
        self.counts: Counter[str] = Counter()
        """Outcome of `COUNTED` -> number of stages."""
        self.interrupted = False
        self.failures: dict[str, str] = {}
        """Name of each failed stage and task -> reason."""
        self.touched: dict[str, None] = {}
        """Names of the settings with a stage that was made or failed, in order."""
        self.selected = selected
        self._project = project

    @property
    def seconds(self) -> float:
        """Wall time of the run so far."""
        return time.time() - self.run.started

    @property
    def cost(self) -> float | None:
        """USD for what this run sent; None if nothing that it sent has a known
        cost."""
        return self.run.cost

    def cost_so_far(self) -> dict[str, float]:
        """Setting -> USD that its present stages have cost in all runs of this folder,
        for each setting that this run paid for. Empty if this run paid nothing."""
        if self.cost is None:
            return {}
        from motools_build.running.spent_since import SpentSince

        found: dict[str, float] = {}
        for name in self.touched:
            spent = SpentSince(self._project.store.ledger, "")
            for stage in self._project.plan(name).stages:
                if stage.accounts:
                    spent.touch(stage.key)
            if (total := spent.total) is not None:
                found[name] = total
        return found

    @property
    def left(self) -> dict[str, int]:
        """Kind -> number of stages of the command that are still to be made."""
        found = {
            kind: sum(states[state] for state in LEFT)
            for kind, states in self.run.counts().items()
        }
        return {kind: count for kind, count in found.items() if count}

    @property
    def again(self) -> str:
        """The command that makes what is left."""
        few = len(self.selected) <= WORDS
        return hints.command("run", *(self.selected if few else self.run.settings))

    def counted(self) -> str:
        """`2 made, 1 failed`; empty if there is nothing to count."""
        counts = [f"{self.counts[what]} {what}" for what in COUNTED]
        return ", ".join(count for count in counts if not count.startswith("0 "))

    def lines(self) -> Iterator[str]:
        """What the summary says, in lines. A no-op has one line."""
        counted, did = self.counted(), self.counted() != ""
        if set(+self.counts) <= {"up to date"} and not self.interrupted:
            yield f"nothing to do: {counted}" if did else "nothing to do"
            return
        yield counted or "nothing was made"
        if not self.touched and not self.counts["deferred"] and not self.interrupted:
            return  # only tasks of the user's own ran
        spent = "" if self.cost is None else f", cost ${self.cost:.2f}"
        totals = self.cost_so_far().items()
        sums = "".join(f"; {name} has cost ${usd:.2f} so far" for name, usd in totals)
        yield f"took {took(self.seconds)}{spent}{sums}"
        if self.left:
            left = ", ".join(several(n, kind) for kind, n in self.left.items())
            yield f"left: {left}: {self.again}"


def several(count: int, kind: str) -> str:
    """`1 model`, `3 evals`, `2 samples`."""
    return f"{count} {kind}" if count == 1 or kind.endswith("s") else f"{count} {kind}s"
