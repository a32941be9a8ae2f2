"""A project as it was when earlier runs began: `doit results --at WHEN`.

The plans are those of logged runs. Nothing can be made, paid for or noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from motools_build.errors import ArtifactError, MotoolsError, VariableError
from motools_build.planning.plan import Plan
from motools_build.project.moments import ID, Moment, moment
from motools_build.project.project import Project
from motools_build.project.selection import TAG, Selection, is_pattern
from motools_build.project.variables import of_plans, overridden
from motools_build.report.history import former_names
from motools_build.report.past import past_plan
from motools_build.specs import Setting
from motools_build.stages import Stage, setting_of
from motools_build.store.runs import Run


class PastProject(Project):
    """A project whose settings have the stages that they had at a moment."""

    def __init__(self, variables: Mapping[str, str], at: str) -> None:
        """`at` is a word of `moments`. Raises SelectionError for one that means no run,
        VariableError for a variable that changes plans: a past run had its own."""
        super().__init__(variables)
        given = of_plans(variables)
        if given:
            words = " ".join(f"{name}={value}" for name, value in given.items())
            raise VariableError(
                f"--at {at} shows a run as it was; leave out {words}: they would ask "
                "for another plan"
            )
        self.at = at
        self._runs: dict[str, Run] = {}
        self.selection = _PastSelection(self)

    @cached_property
    def moment(self) -> Moment:
        """The runs that are shown. Raises SelectionError."""
        return moment(self.at, self.store.runs)

    def default(self) -> tuple[str, ...]:
        """The setting of the run, if an ID was given; else the project's default."""
        if ID.fullmatch(self.at) and len(self.moment.runs) == 1:
            return tuple(self.moment.runs)
        return super().default()

    def plan(self, name: str) -> Plan:
        """The stages that the setting had in its run. Raises SelectionError if it had
        no run then."""
        if name not in self._plans:
            run = self.run_of(name)
            self._plans[name] = past_plan(run, self.store, self._now(name, run))
        return self._plans[name]

    def run_of(self, name: str) -> Run:
        """The run that is shown of a setting: one of its own, or one that it had under
        a former name. Raises SelectionError if it had none then."""
        if name not in self._runs:
            self._runs[name] = self._run_of(name)
        return self._runs[name]

    def _run_of(self, name: str) -> Run:
        runs, there = self.moment.runs, self.zoo.names
        if name not in runs and any(other not in there for other in runs):
            for former in former_names(name, self.store.runs, (), there):
                if former in runs:
                    return runs[former]
        return self.moment.of(name, there)

    def _now(self, name: str, run: Run) -> Setting | None:
        """The setting as it is now, under the variables of the run; None if there is
        none any more, or if it cannot be loaded."""
        try:
            return overridden(self.zoo[name], run.variables)
        except MotoolsError:
            return None

    def complete(self, plan: Plan) -> bool:
        """Always: no run would make a stage of the past."""
        return True

    def note_run(self) -> None:
        raise ArtifactError("what an earlier run stood for cannot be run")


class _PastSelection(Selection):
    """Resolves words to the stages that settings had, including settings that are gone
    now."""

    def __init__(self, project: PastProject) -> None:
        super().__init__(project.zoo, project.store, project.plan)
        self._project = project

    def settings_of(self, words: Iterable[str]) -> tuple[str, ...]:
        """As for the present; but a pattern means only settings that had a run."""
        runs = self._project.moment.runs
        names: dict[str, None] = {}
        for word in words:
            if is_pattern(word) or word.startswith(TAG):
                names.update(dict.fromkeys(runs))
            elif word in runs or setting_of(word) in runs:
                names[setting_of(word) or word] = None
            else:
                names.update(dict.fromkeys(super().settings_of([word])))
        return tuple(names)

    def chosen(
        self, words: Iterable[str], *, superseded: bool = False
    ) -> dict[str, Stage]:
        chosen: dict[str, Stage] = {}
        for word in words:
            if word in self._project.moment.runs:
                stages = self._project.plan(word).stages
                chosen.update((stage.name, stage) for stage in stages)
            else:
                chosen.update(super().chosen([word], superseded=superseded))
        return chosen

    def superseded_by(self, stage: Stage) -> str | None:
        """None: what replaced a stage since is beside the point."""
        return None


def run_shown(project: Project, setting: str) -> Run | None:
    """The run whose stages are shown in place of a setting's present ones; None if the
    present ones are."""
    return project.run_of(setting) if isinstance(project, PastProject) else None


def under(project: Project, variables: Mapping[str, str]) -> Project:
    """The project under those of other variables that change plans: itself, if it has
    them. What `project` does not make for planning, the other one does not, either.
    Raises InputError for wrong variables."""
    given = of_plans(variables)
    if of_plans(project.variables) == given:
        return project
    other = Project(given)
    other.derive.always = project.derive.always
    return other


def at_option(project: Project) -> list[str]:
    """The words of a command that show the project at the same run again; none for the
    present."""
    if not isinstance(project, PastProject):
        return []
    ids = {run.id for run in project.moment.runs.values()}
    return ["--at", min(ids) if len(ids) == 1 else project.at]


def is_past(project: Project) -> bool:
    """Whether the project is shown as it was."""
    return isinstance(project, PastProject)


def project_at(variables: Mapping[str, str], at: str = "") -> Project:
    """The project at a moment; without one, as it is now. Raises as `PastProject`."""
    return PastProject(variables, at) if at else Project(variables)
