"""`doit run SETTING until=half:0.15 max_seeds=10`: rounds of added seeds within a run.

The first round makes the setting, with the seeds that were added before and are not
made yet. After each round the results are looked at, and each group whose interval is
too wide gets one more seed. All rounds share the runner, and so the workers, the budget
(`max_spend`), the display, the summary and the exit code of one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doit.control import TaskControl, TaskDispatcher
from doit.runner import ERROR

from motools_build.doit_host.runner import AsyncRunner
from motools_build.doit_host.session import Session
from motools_build.doit_host.tasks import tasks_of
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.errors import MotoolsError
from motools_build.project.sequential import Sequential, check_names


def check(
    session: Session, names: Sequence[str] | None, *, always: bool, single: bool
) -> None:
    """Refuse what has no meaning with `until=`. Raises InvalidCommand or InputError,
    before anything is made or paid."""
    for option, given in (("-a", always), ("-s", single)):
        if given:
            raise InvalidCommand(
                f"until= goes by what is made already, and {option} does not; leave "
                "one of the two out"
            )
    for name in names or ():
        if name not in session.groups:
            there = ", ".join(session.selected)
            hint = f", as {there}" if there else ""
            raise InvalidCommand(
                f"until= adds seeds to whole settings, and {name!r} is none: name a "
                f"setting{hint}"
            )
    check_names(names or (), session.project.sequential)


class UntilRunner(AsyncRunner):
    """A runner that adds seeds, round by round, while intervals are too wide."""

    async def _dispatch(self, dispatcher: TaskDispatcher) -> None:
        names = [*dispatcher.selected_tasks]
        every = self.session.project.sequential
        begun = [every[name] for name in names if every[name].wanted]
        if begun:
            self._begun_work()
            self._tell("adding", begun, {})
        await super()._dispatch(dispatcher)
        while self.session.stages and self.interrupted is None:
            added = self._added(names)
            if added is None or self._stop_running:
                break
            await super()._dispatch(added)
        if self.interrupted is None:
            for name in names:
                self._tell("settled", every[name])

    def _added(self, names: Sequence[str]) -> TaskDispatcher | None:
        """The tasks of the seeds that are added after a round; None if none are. What
        cannot be looked at is told, and no seed is added for it."""
        project = self.session.project
        try:
            found = project.look_again(names, adds=not self._stop_running)
            if not found:
                return None
            project.note_run()
        except (MotoolsError, OSError) as error:
            self._tell("warned", [f"no more seeds are added: {error}"])
            self.failures["until"] = str(error)
            self.final_result = ERROR
            return None
        control = self._control(found)
        self._tell("adding", found, control.tasks)
        return control.task_dispatcher()

    def _control(self, found: Sequence[Sequential]) -> Any:
        session = self.session
        session.owners.clear()  # these tasks know only each other
        session.aliases.clear()
        tasks = [
            task
            for one in found
            if one.fresh
            for task in tasks_of(session, one.fresh, prune=True)
        ]
        control = TaskControl(tasks)
        control.process([one.name for one in found])
        return control
