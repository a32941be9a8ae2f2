"""What a run has spent so far, from the ledger."""

from __future__ import annotations

from collections.abc import Iterable

from motools_build.errors import MotoolsError
from motools_build.running.budget import charges
from motools_build.store.ledger import Ledger
from motools_build.store.records import Entry


class SpentSince:
    """USD for the jobs and requests of some stages that were sent since a moment: those
    that have ended, and estimates for those under way. A stage is looked up in the
    ledger only after `touch`, as a run may have thousands."""

    def __init__(self, ledger: Ledger, since: str) -> None:
        """`since` has the form of the ledger's times, as `store.runs.now` gives it."""
        self._ledger = ledger
        self._since = since
        self._touched: set[str] = set()
        self._costs: dict[str, float] = {}
        """Key -> USD; only stages with a known cost."""

    def touch(self, key: str) -> None:
        """The ledger may have new lines of this key."""
        self._touched.add(key)

    @property
    def total(self) -> float | None:
        """USD; None if nothing that was sent has a known cost. Adopted jobs, for which
        another folder paid, do not count."""
        while self._touched:
            key = self._touched.pop()
            try:
                entries = self._ledger.of(key)
            except MotoolsError:  # the stage itself reports it, where it matters
                continue
            costs = [
                charge.cost
                for charge in charges(self._sent(entries))
                if charge.cost is not None and not charge.adopted
            ]
            if costs:
                self._costs[key] = sum(costs)
        return sum(self._costs.values()) if self._costs else None

    def _sent(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        """The entries of what was sent since the moment."""
        entries = list(entries)
        before = {e.id for e in entries if e.id and e.time < self._since}
        return [e for e in entries if e.time >= self._since and e.id not in before]
