"""The state that the parts of one doit command share: its project and its tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from motools_build.errors import SelectionError
from motools_build.project.project import Project
from motools_build.project.variables import of_plans, of_runs
from motools_build.stages import Stage
from motools_build.text import hints

if TYPE_CHECKING:
    from motools_build.doit_host.watching.listener import Listener
    from motools_build.report.status import Statuses
    from motools_build.store.live import OwnProgress
    from motools_build.store.shared.sharing import Sharing


class Session:
    """One doit command: its project, the settings that it selects, and their tasks.

    The loader fills it; the checker, the runner, the reporter and the commands read it.
    doit itself has no way to pass such data from one of these to another.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.selected: tuple[str, ...] = ()
        """Names of the settings that the command selects; they become tasks."""
        self.brief = False
        """Whether only the settings' groups are listed (`doit list`), without plans."""
        self.lenient = False
        """Whether a broken setting is shown as broken instead of raising its error."""
        self.prune = False
        """Whether stages that are up to date, and that no stale stage is connected to,
        may be left without tasks."""
        self.pulls = False
        """Whether stages that are not here are taken from the shared store."""
        self.stages: dict[str, Stage] = {}
        """Task name -> stage, of tasks with an action."""
        self.targets: dict[str, Stage] = {}
        """Path of the record, which is the task's target -> stage."""
        self.groups: set[str] = set()
        """Names of the tasks that stand for a whole setting."""
        self.done: dict[str, list[str]] = {}
        """Setting -> names of its stages that are up to date and need no task."""
        self.aliases: dict[str, Stage] = {}
        """Task name -> stage, of stages that another stage's task makes, because both
        have the same key."""
        self.statuses: Statuses | None = None
        """The statuses that `doit list --status` shows; None for other commands."""
        self.owners: dict[str, str] = {}
        """Key -> name of the stage whose task has the action; other stages of that key
        are aliases."""
        self.place: OwnProgress | None = None
        """Where the run tells its progress; None if it has nothing to do."""
        self.listeners: list[Listener] = []
        """What else hears of the run: those that the project asks for."""

    @property
    def shared(self) -> Sharing | None:
        """The shared store, if the command has used it."""
        return vars(self.project).get("sharing")

    def is_ours(self, task: str) -> bool:
        """Whether a task is a stage's or a setting's; if not, it is the user's own."""
        return task in self.stages or task in self.groups or task in self.aliases

    def used(self) -> Iterator[Stage]:
        """The stages that a run uses, or may come to use."""
        yield from self.stages.values()
        for one in self.project.sequential.values():
            yield from one.wide.stages

    def record_path(self, stage: Stage) -> str:
        """The path of the stage's record, which is its task's target."""
        return self.project.store.record_path(stage)


_current: Session | None = None


def begin(variables: Mapping[str, str]) -> Session:
    """Start the session of a command, in the working directory. Raises InputError."""
    global _current
    _current = Session(Project(variables))
    hints.remember(of_plans(variables), of_runs(variables))
    return _current


def end() -> None:
    """Forget the session. Needed only in a process that lives on after the command."""
    global _current
    _current = None
    hints.remember({})


def current() -> Session:
    """The session of the running command. Raises SelectionError if there is none."""
    if _current is None:
        raise SelectionError(
            "dodo.py was loaded without motools_build's loader: run doit in the "
            "project's folder, whose pyproject.toml needs its [tool.doit] section: "
            'loader = "motools", and the plugin'
        )
    return _current
