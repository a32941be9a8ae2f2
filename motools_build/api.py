"""The Python interface: a project from a notebook or a script.

    import motools_build

    project = motools_build.open_project("path/to/project")
    project.run("simple_math", seeds=[0, 1])
    frame = project.results("simple_math", seeds=[0, 1])

Each method returns the data that the command of the same name prints, and raises the
errors that the command prints. Positional arguments are words of the command line: a
setting, a stage, a pattern, a key, a job, `tag:NAME`. Variables (`model`, `seeds`,
`smoke`, ...) are keyword arguments with Python values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from motools_build.errors import ArtifactError, InputError
from motools_build.project.config import is_project
from motools_build.project.entering import in_folder
from motools_build.project.past import project_at
from motools_build.project.project import Project
from motools_build.project.reports import settings_named
from motools_build.project.returned import Artifact, Ran, Settings
from motools_build.project.variables import as_words, checked_names
from motools_build.pyproject import PYPROJECT, document
from motools_build.stages import Stage

if TYPE_CHECKING:
    import pandas

    from motools_build.project.forecast import Forecast
    from motools_build.report.overview import Overview

T = TypeVar("T")


def open_project(path: str | PathLike[str] = ".") -> OpenProject:
    """Open the project in the folder that has its pyproject.toml and zoo/.

    Settings are read and imported only when a method needs them. Raises InputError if
    the folder holds no project.
    """
    folder = Path(path).resolve()
    if not is_project(document(folder / PYPROJECT)):
        raise InputError(
            f"there is no project in {folder} (its {PYPROJECT} would have a section "
            '[tool.doit] with loader = "motools"); `motools new NAME` begins one there'
        )
    return OpenProject(folder)


@dataclass(frozen=True)
class OpenProject:
    """A project's commands, as methods. Each call reads the project's files anew.

    During a call, the working directory of the process is the project's folder, and
    the environment has the variables of its .env. Calls from several threads run one
    after another.
    """

    path: Path
    """The project's folder, absolute."""

    @property
    def settings(self) -> Settings:
        """The settings of zoo/, as a mapping from name to `Setting`."""
        return Settings(lambda call: self._ask(call, {}))

    def run(self, *words: str, **variables: Any) -> Ran:
        """Make what is stale, as `doit run` does; without words, the default setting.

        The runner's lines go to standard output. A stage that is up to date is not made
        again; a stage that another process is making is waited for. An interrupt
        (Ctrl-C, or a notebook's stop button) ends the run and is raised; what is made
        is kept, and the next run goes on from there.

        Raises RunFailed, with each failed stage and the reason, after all stages that
        could be made; InputError, with nothing run or paid, for wrong input.
        """
        from motools_build.doit_host.calling import Call

        call, given = Call(), as_words(variables)

        def ran() -> Ran:
            runner = call.run(checked_names(words), given)
            project = Project(given)
            named = project.selection.settings_of(words or project.default())
            from motools_build.project.reports import tables

            found = tuple(tables(project, named))
            return Ran(tuple(runner.made), runner.deferred, found)

        return in_folder(self.path, ran, call.end)

    def plan(self, *words: str, remote: bool = False, **variables: Any) -> Forecast:
        """What a run would do with each stage, and why, as `doit plan` shows it. Each
        of its `stages` has an action, a reason, `seconds`, and a `cost` in USD; the
        last two are None if they are not known.

        With `remote`, providers are asked for jobs that could be adopted.
        """
        from motools_build.project.forecast import forecast

        def found(project: Project) -> Forecast:
            stages = project.selection.chosen(words or project.default())
            return forecast(project, [*stages.values()], remote)

        return self._ask(found, variables)

    def status(self, *words: str, **variables: Any) -> Overview:
        """The progress of settings, as `doit status` shows it; without words, of all.

        Its `complete` says whether a run would have nothing to do; `settings` counts
        models and evals by their status; `jobs` lists the jobs under way at providers.
        """
        from motools_build.project.reports import how_far

        return self._ask(lambda project: how_far(project, words), variables)

    def results(self, *words: str, at: str = "", **variables: Any) -> pandas.DataFrame:
        """The results of settings as a frame, with the data of `doit results --json`;
        without words, of the default setting. One row for each cell and metric, with
        its 95 % interval; a cell without a result has one row, without a metric. The
        columns are those of `motools_build.report.frames.results_frame`. With `at`, a
        run's ID, a date or a git commit, as they were in that run.

        Raises MissingExtra if pandas is not installed.
        """
        from motools_build.project.reports import tables
        from motools_build.report.frames import results_frame

        return results_frame(self._of_settings(tables, words, variables, at))

    def means(
        self, *words: str, by: Iterable[str] | None = None, **variables: Any
    ) -> pandas.DataFrame:
        """The means over seeds as a frame, with the data of `doit results --json`: one
        row for each arm, dataset, model, training, eval and metric. With `by`, such as
        `["arm"]`, the means over what is not named, as `doit results --by` has them.

        Raises MissingExtra if pandas is not installed, InputError for a wrong name.
        """
        from motools_build.project.reports import pooled, tables
        from motools_build.report.frames import means_frame, pooled_frame

        if by is None:
            return means_frame(self._of_settings(tables, words, variables))
        if isinstance(by, str):
            raise InputError(f"by={by!r} is a text; write a list: by=[{by!r}]")
        names = [*by]
        found = self._of_settings(partial(pooled, by=names), words, variables)
        return pooled_frame(found, names)

    def differences(self, *words: str, **variables: Any) -> pandas.DataFrame:
        """The differences between groups of models as a frame, with the data of
        `doit results --differences --json`: one row for each pair of groups and metric.

        Raises MissingExtra if pandas is not installed.
        """
        from motools_build.project.reports import compared
        from motools_build.report.frames import comparisons_frame

        return comparisons_frame(self._of_settings(compared, words, variables))

    def samples(
        self, *words: str, where: str = "", most: int | None = None, **variables: Any
    ) -> pandas.DataFrame:
        """The samples of evals as a frame, with the data of `doit samples --json`: one
        row for each sample, with its messages, target and scores. `where` selects by
        score (`where="score<50"`); `most` limits each eval to its first samples.

        Raises SelectionError if the words mean no eval, MissingExtra without pandas.
        """
        from motools_build.project.reports import samples
        from motools_build.report.frames import samples_frame

        return self._ask(
            lambda project: samples_frame(samples(project, words, where), most),
            variables,
        )

    def report(
        self,
        *words: str,
        out: str | PathLike[str] = "",
        answers: int = 24,
        **variables: Any,
    ) -> Path:
        """Write the page of settings' results, as `doit report` does, and return its
        absolute path. `out` is relative to the caller's working directory; without it,
        the page is SETTING.html in the project's folder. It shows at most `answers`
        answers of each eval.

        Raises MissingExtra without the extra `report`, OSError if it cannot be written.
        """
        from motools_build.project.pages import write_page

        if answers < 0:
            raise InputError(f"answers={answers}: give a number, 0 or more")
        place = Path(out).absolute() if out else None

        def written(project: Project) -> Path:
            named = settings_named(project, words)
            own = self.path / f"{'-'.join(named)}.html"
            return write_page(project, named, place or own, answers)

        return self._ask(written, variables)

    def plot(
        self,
        *words: str,
        out: str | PathLike[str],
        evals: Sequence[str] = (),
        **variables: Any,
    ) -> Path:
        """Write a figure of settings' results to the file `out`, as `doit plot` does:
        PDF, PNG or SVG, by its ending. Returns its absolute path; `out` is relative to
        the caller's working directory. `evals` limits the figure to these evals.

        Raises MissingExtra without the extra `report`, InputError for another ending or
        if there is nothing to draw, OSError if it cannot be written.
        """
        from motools_build.project.pages import write_plot

        place = Path(out).absolute()
        return self._ask(
            lambda project: write_plot(
                project, settings_named(project, words), place, evals
            ),
            variables,
        )

    def model(self, word: str, **variables: Any) -> str | Path:
        """A model for use in other code: its ID if it is at a provider (`ft:...`), else
        the folder of its weights. The word is a model's stage, key or job, or a setting
        that has a single model.

        Raises SelectionError if the word means no model or several, ArtifactError if
        the model is not made.
        """

        from motools_build.project.reports import one_stage

        def found(project: Project) -> str | Path:
            stage = one_stage(project, word, ("model", "base"))
            made = self._artifact(project, stage)
            return made.record.output if stage.at_provider else made.folder

        return self._ask(found, variables)

    def artifact(self, word: str, **variables: Any) -> Artifact:
        """The record and the folder of a stage's artifact. The word is the stage's
        name, or eight or more digits of its key, which may be superseded.

        Raises SelectionError if the word does not mean one stage, ArtifactError if the
        stage is not made.
        """

        from motools_build.project.reports import one_stage

        def found(project: Project) -> Artifact:
            return self._artifact(project, one_stage(project, word))

        return self._ask(found, variables)

    def _artifact(self, project: Project, stage: Stage) -> Artifact:
        record = project.store.get(stage)
        if record is None:
            raise ArtifactError(
                f"{stage.name}: {project.store.why_stale(stage)}; run it first: "
                f"project.run({stage.name!r})"
            )
        return Artifact(record, self.path / project.store.materialise(stage))

    def _of_settings(
        self,
        call: Callable[[Project, Iterable[str]], Iterable[T]],
        words: tuple[str, ...],
        variables: Mapping[str, Any],
        at: str = "",
    ) -> list[T]:
        """What a query gives for the settings that the words mean."""

        def found(project: Project) -> list[T]:
            return [*call(project, settings_named(project, words))]

        return self._ask(found, variables, at)

    def _ask(
        self, call: Callable[[Project], T], variables: Mapping[str, Any], at: str = ""
    ) -> T:
        given = as_words(variables)
        return in_folder(self.path, lambda: call(project_at(given, at)))
