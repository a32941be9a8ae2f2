"""From words to histories: of settings, and of a stage or a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from motools_build.errors import MotoolsError, SelectionError
from motools_build.project.noting import files_of
from motools_build.project.project import Project
from motools_build.project.selection import STAGE_NAME, key_of, past
from motools_build.project.variables import PLAN_VARIABLES
from motools_build.report.contents import Contents
from motools_build.report.history import History, former_names, history
from motools_build.report.run_changes import RunDiffs
from motools_build.report.stage_history import StageHistory, stage_history
from motools_build.stages import setting_of
from motools_build.store.runs import Run, now
from motools_build.text.similar import known


def setting_histories(
    project: Project, names: Sequence[str], most: int, every: bool = False
) -> Iterator[History]:
    """The last `most` runs of each setting; of all settings if none is named. With
    `every`, the results of all groups."""
    contents = Contents(project.store, project.memo.digest)
    for name in names or project.zoo.names:
        diffs = RunDiffs(project.store, contents)
        present = _present(project, name)
        yield history(
            name,
            project.store.runs,
            diffs,
            present,
            _former(project, name, present.stages if present else {}),
            PLAN_VARIABLES,
            most,
            every,
        )


def history_of(
    project: Project, word: str, most: int, every: bool = False
) -> History | StageHistory:
    """The history of a setting, present or gone, or of a stage or key. Raises
    SelectionError for a word that means none."""
    logged = {run.setting: run for run in project.store.runs}
    if word in project.zoo.names or word in logged:
        (found,) = setting_histories(project, [word], most, every)
        return found
    stage = STAGE_NAME.match(word)
    if stage:
        return _of_stage(project, word, None, most, logged)
    key = key_of(word, project.store)
    known_keys = past(key, project.store) if key else {}
    if len(known_keys) > 1:
        listed = ", ".join(sorted(known_keys))
        raise SelectionError(f"{word} is the beginning of several keys: {listed}")
    for its_key, name in known_keys.items():
        return _of_stage(project, name, its_key, most, logged)
    raise SelectionError(
        f"no setting, stage or key is called {word!r}; "
        + known(word, {*project.zoo.names, *logged})
    )


def _of_stage(
    project: Project,
    name: str,
    key: str | None,
    most: int,
    logged: Mapping[str, Run],
) -> StageHistory:
    """The history of a stage by its name; `key` is one of its keys, if it is known."""
    name = _now_called(name, project)
    setting = setting_of(name)
    found = _present(project, setting)
    present = found.stages if found else {}
    own = key or present.get(name)
    if own is None:
        for run in project.store.runs:
            own = run.stages.get(name, own)
    if own is None:
        there = present or (logged[setting].stages if setting in logged else {})
        raise SelectionError(
            f"no plan and no run has a stage {name!r}; "
            + known(name, there or {*project.zoo.names, *logged})
        )
    called = [one for one, its_key in present.items() if its_key == own]
    if name not in present and called:  # it was renamed within its setting
        name = called[0]
    contents = Contents(project.store, project.memo.digest)
    return stage_history(
        name,
        own,
        lambda: project.store.runs,
        RunDiffs(project.store, contents),
        contents,
        present,
        _former(project, setting, present),
        most,
    )


def _now_called(name: str, project: Project) -> str:
    """The name that a stage has now, if a run has had one of its keys under a name of a
    present plan; else its own. Its setting may be gone, but not another one that has
    the key, too: two settings may share a stage."""
    setting, there = setting_of(name), project.zoo.names
    found = _present(project, setting)
    if found and name in found.stages:
        return name
    keys = {run.stages[name] for run in project.store.runs if name in run.stages}
    kind = name.partition(":")[0]
    called = {
        other: None
        for run in project.store.runs
        if run.setting in there and (run.setting == setting or setting not in there)
        for other, key in run.stages.items()
        if key in keys and other.startswith(f"{kind}:")
    }
    for other in reversed(called):
        found = _present(project, setting_of(other))
        if found and other in found.stages:
            return other
    return name


def _present(project: Project, setting: str) -> Run | None:
    """What a run of the setting would stand for now; None if there is no such setting,
    or if it cannot be planned."""
    if setting not in project.zoo.names:
        return None
    try:
        plan = project.plan(setting)
        files = files_of(plan, project.memo)
    except (MotoolsError, OSError):  # its past can be told even so
        return None
    stages = {stage.name: stage.key for stage in plan.stages}
    return Run(now(), setting, stages, dict(project.variables), files)


def _former(
    project: Project, setting: str, present: Mapping[str, str]
) -> Mapping[str, str]:
    """Former names of a setting, and until when it had them."""
    begin = f"eval:{setting}/base/"
    keys = {
        key
        for name, key in present.items()
        if name.startswith(("model:", "eval:")) and not name.startswith(begin)
    }
    there = project.zoo.names
    return former_names(setting, project.store.runs, keys, there)
