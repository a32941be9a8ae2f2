"""The words of `doit diff`, and the results that each means.

simple_math                    a setting as it is now
simple_math/math_tutor         one of its arms, or of its datasets
simple_math@2026-11-20         as it was at a moment (`moments`); an arm, too
3fa91c02                       a run
zoo/simple_math.lock.json      a lock
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from motools_build.errors import InputError, SelectionError, cut
from motools_build.project.moments import ID
from motools_build.project.past import PastProject, run_shown, under
from motools_build.project.project import Project
from motools_build.project.variables import PLAN_VARIABLES, of_plans
from motools_build.report.diff import Diff, View, diff
from motools_build.report.lock.lock import Lock, read_lock
from motools_build.report.lock.packed import unpacked_stage
from motools_build.report.past import as_of
from motools_build.report.results import Result, results
from motools_build.text import hints
from motools_build.text.similar import known

LOCK = ".json"
"""End of the name of a file that is a lock."""


def differing(project: Project, words: Sequence[str]) -> Diff:
    """What differs between the results that two words mean, or between those of an
    earlier run or a lock and the present ones of its setting.

    Raises SelectionError for a word that means nothing, InputError for a setting that
    cannot be planned or a lock that was edited.
    """
    if len(words) == 1:
        first = _View.of(project, words[0], beside_present=True)
        if not first.is_earlier:
            raise SelectionError(_with_what(project, words[0], first.setting))
        # as the run was: a smaller model, fewer seeds
        given = {**of_plans(first.variables), **project.variables}
        second = _View.of(under(project, given), first.present)
    elif len(words) == 2:
        of_present = not all(_is_earlier(project, word) for word in words)
        first, second = (_View.of(project, word, of_present) for word in words)
    else:
        raise SelectionError(
            "`doit diff` compares two: settings, arms (SETTING/ARM), earlier runs "
            "(SETTING@WHEN) or locks"
        )
    return diff(first.view, second.view)


def _is_earlier(project: Project, word: str) -> bool:
    """Whether a word means a lock or an earlier run, and not the present."""
    name = word.partition("/")[0]
    return word.endswith(LOCK) or "@" in word or name not in project.zoo.names


def _with_what(project: Project, word: str, setting: str) -> str:
    """The error for one word that means the present."""
    runs = [run.id for run in project.store.runs if run.setting == setting]
    told = f"with what is {word} to be compared? Name two, or an earlier run"
    if runs:
        told += f", as in {hints.command('diff', f'{word}@{runs[-1]}')}"
    return f"{told} ({hints.command('history', setting)} lists them)"


class _View:
    """What a word of `doit diff` means."""

    def __init__(
        self,
        setting: str,
        arm: str,
        view: View,
        earlier: Mapping[str, str] | None = None,
    ) -> None:
        self.setting, self.arm, self.view = setting, arm, view
        self.is_earlier = earlier is not None
        self.variables = earlier or {}
        """The variables of an earlier run or a lock."""

    @property
    def present(self) -> str:
        """The word for the same setting, or its arm, as it is now."""
        return f"{self.setting}/{self.arm}" if self.arm else self.setting

    @classmethod
    def of(cls, project: Project, word: str, beside_present: bool = False) -> _View:
        """What a word means. Variables that change plans are refused with an earlier
        run, unless it is compared with the present, which they are for."""
        if word.endswith(LOCK):
            return cls._of_lock(word)
        variables = project.variables
        if beside_present:
            variables = {n: v for n, v in variables.items() if n not in PLAN_VARIABLES}
        name, _, at = word.partition("@")
        if not at and name.partition("/")[0] not in project.zoo.names:
            if not ID.fullmatch(name):
                setting = name.partition("/")[0]
                raise SelectionError(
                    f"no setting is called {cut(setting)!r}; "
                    + known(setting, project.zoo.names)
                )
            past = PastProject(variables, name)
            return cls._of(past, past.default()[0], "")
        setting, _, arm = name.partition("/")
        if at:
            project = PastProject(variables, at)
        return cls._of(project, setting, arm)

    @classmethod
    def _of(cls, project: Project, setting: str, arm: str) -> _View:
        found = results(project.plan(setting), project.store)
        run = run_shown(project, setting)
        told = as_of(run, setting) if run else f"{setting} as it is now"
        if arm:
            told, found = f"{arm} of {told}", _of_arm(found, setting, arm)
        return cls(setting, arm, View(told, found), run.variables if run else None)

    @classmethod
    def _of_lock(cls, path: str) -> _View:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror})") from error
        lock = read_lock(data, path)
        view = View(f"{lock.setting}, {lock.when}, from {path}", _whole(lock))
        return cls(lock.setting, "", view, lock.variables)


def _whole(lock: Lock) -> list[Result]:
    """A lock's results, each with the stage of its model, which tells what that was
    made of."""
    stages = {
        told["key"]: unpacked_stage(lock.body, told) for told in lock.body["stages"]
    }
    found = []
    for result in lock.results:
        model = stages.get(result.lineage.model_key or "")
        if model:
            stage = replace(result.cell.stage, upstream=(model,))
            result = replace(result, cell=result.cell._replace(stage=stage))
        found.append(result)
    return found


def _of_arm(found: Sequence[Result], setting: str, arm: str) -> list[Result]:
    """The results of an arm, or of a dataset, without base models."""
    for names in ("arm", "dataset"):
        of_arm = [
            result
            for result in found
            if getattr(result.cell, names) == arm and result.cell.seed is not None
        ]
        if of_arm:
            return of_arm
    there = {
        name
        for result in found
        for name in (result.cell.arm, result.cell.dataset)
        if name and result.cell.seed is not None
    }
    raise SelectionError(
        f"{setting} has no arm and no dataset {cut(arm)!r} with results; "
        + known(arm, there)
    )
