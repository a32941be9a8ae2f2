"""What the parts of one doit command share: the project, and the tasks made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from motools_build.errors import SelectionError
from motools_build.project.project import Project
from motools_build.project.variables import of_plans
from motools_build.stages import Stage
from motools_build.text import hints

if TYPE_CHECKING:
    from motools_build.report.status import Statuses


class Session:
    """One doit command: its project, which settings it is about, and their tasks.

    The loader fills the tables; the checker, the runner, the reporter and the commands
    read them. doit itself hands nothing from one of these to the next.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.selected: tuple[str, ...] = ()
        """Settings that the command names; they become tasks."""
        self.brief = False
        """Whether groups are enough (`doit list`): nothing is planned then."""
        self.lenient = False
        """Whether a broken setting is shown as such, rather than refused."""
        self.prune = False
        """Whether a setting that is complete may do without stage tasks."""
        self.stages: dict[str, Stage] = {}
        """By task name: those that have an action of their own."""
        self.targets: dict[str, Stage] = {}
        """By the path of their record, which is the task's target."""
        self.groups: set[str] = set()
        """Names of the tasks that stand for a whole setting."""
        self.done: dict[str, list[str]] = {}
        """By setting: the stages that are up to date and need no task."""
        self.aliases: dict[str, Stage] = {}
        """By task name: stages whose key another task makes."""
        self.statuses: Statuses | None = None
        """Of `doit list --status`: what to say of each stage in its line."""
        self.owners: dict[str, str] = {}
        """Key -> the stage that carries the action; others of that key are aliases."""

    def is_ours(self, task: str) -> bool:
        """Whether a task is a stage's or a setting's, rather than the user's own."""
        return task in self.stages or task in self.groups or task in self.aliases

    def record_path(self, stage: Stage) -> str:
        """The stage's target, as doit knows it."""
        return self.project.store.record_path(stage)


_current: Session | None = None


def begin(variables: Mapping[str, str]) -> Session:
    """Start the session of a command, in the working directory. Raises InputError."""
    global _current
    _current = Session(Project(variables))
    hints.remember(of_plans(variables))
    return _current


def end() -> None:
    """Forget the session, in a process that lives on after its command."""
    global _current
    _current = None
    hints.remember({})


def current() -> Session:
    """The session of this command. Raises SelectionError outside of one."""
    if _current is None:
        raise SelectionError(
            "dodo.py was loaded without motools_build's loader; pyproject.toml needs "
            'its [tool.doit] section: loader = "motools", and the plugin'
        )
    return _current
