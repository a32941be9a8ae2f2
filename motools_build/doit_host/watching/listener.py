"""The events of a run, for all that listens to them.

The reporter is the adapter: doit and our runner call it, and it keeps the state of the
run and tells each listener. Listeners know nothing of doit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motools_build.backends.job import Progress
    from motools_build.doit_host.watching.state import RunState
    from motools_build.doit_host.watching.summary import Summary
    from motools_build.project.sequential import Sequential
    from motools_build.stages import Stage
    from motools_build.store.records import Record


class Listener:
    """Hears the events of one run, in the run's own thread; those of the user's own
    tasks may come from a second one. By default each is ignored.

    A method must return at once, because the run waits for it. If one of a listener
    other than the first raises, the run goes on without that listener.
    """

    def up_to_date(self, names: Sequence[str]) -> None:
        """These stages need not be made."""

    def begun(self, run: RunState) -> None:
        """The run has something to do; not called on a no-op. `run` is kept up to date
        before each further event."""

    def started(self, name: str, stage: Stage | None, reason: str) -> None:
        """The work on a stage began, because of `reason`; a stage of None is a task of
        the user's own."""

    def progressed(self, stage: Stage, progress: Progress) -> None:
        """A running stage has told how far it is. May come very often."""

    def made(self, stage: Stage, record: Record | None) -> None:
        """The stage's artifact is complete."""

    def ran(self, name: str) -> None:
        """A task of the user's own has ended well."""

    def taken(self, stage: Stage, how: str) -> None:
        """The stage needed no work after all; `how` says why."""

    def deferred(self, name: str, why: str) -> None:
        """The stage is left to a later run, which is no failure. `why` is empty if it
        is only because of another stage."""

    def failed(self, name: str, stage: Stage | None, why: str) -> None:
        """The stage, or a task of the user's own, has failed."""

    def not_run(self, name: str) -> None:
        """What the stage needs has failed."""

    def ignored(self, name: str) -> None:
        """`doit ignore` says that this task of the user's own is not to run."""

    def interrupted(self, names: Sequence[str]) -> None:
        """A signal ends the run, and with it these running stages."""

    def warned(self, text: str) -> None:
        """Something that the user should know, and that is no failure."""

    def adding(self, found: Sequential) -> None:
        """With `until=`: groups of a setting get another seed each, because their
        intervals are wide; `found.wanted` are the groups as they were before."""

    def settled(self, found: Sequential) -> None:
        """With `until=`: no more seeds are added to a setting; `found.groups` say why.
        It comes before `ended`, also in a no-op, and not in a run that a signal
        ended."""

    def tick(self) -> None:
        """A quarter of a second has passed."""

    def closing(self) -> None:
        """All work has ended; nothing is live any more."""

    def ended(self, summary: Summary) -> None:
        """The run has ended. The last event, also of a no-op."""
