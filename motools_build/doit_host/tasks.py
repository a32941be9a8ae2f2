"""doit tasks of settings: one for each stage, and a group task for each setting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from doit.control import TaskDispatcher
from doit.exceptions import InvalidDodoFile
from doit.task import Task

from motools_build.data import DATA
from motools_build.doit_host.session import Session, current
from motools_build.errors import MotoolsError, SelectionError
from motools_build.params import (
    BaseParams,
    EvalParams,
    FetchParams,
    LessonParams,
    ModelParams,
    StepParams,
    UploadParams,
)
from motools_build.planning.later import name_of
from motools_build.planning.plan import Plan
from motools_build.stages import ON_DEMAND, Stage
from motools_build.task_code.shipped import place_of
from motools_build.text.visible import shown

DONE = "up to date"
"""Key in a group task's `meta` for the names of stages that are up to date and have no
task."""


def zoo_tasks() -> Iterator[Task] | None:
    """The tasks of the settings that the command selects, for dodo.py to return.

    None if it selects none, because doit would turn an empty generator into an empty
    group. Raises InvalidDodoFile if dodo.py was loaded without our loader.
    """
    try:
        session = current()
    except SelectionError as error:  # doit shows InvalidDodoFile without a traceback
        raise InvalidDodoFile(str(error)) from error
    if not session.selected:
        return None
    return tasks(session, session.selected, prune=session.prune)


def tasks(session: Session, names: Iterable[str], *, prune: bool) -> Iterator[Task]:
    """The doit tasks of these settings: one for each stage, and a group for each
    setting. With `prune`, only stages that a run must look at have tasks. Raises the
    error of a broken setting, unless the session is lenient."""
    for name in names:
        session.groups.add(name)
        try:
            if session.brief:
                yield _group(name, session.project.zoo[name].description)
                continue
            plan = session.project.plan(name)
        except MotoolsError as error:
            if not session.lenient:
                raise
            first = str(error).splitlines()[0]
            yield _group(name, f"broken: {first}")
            continue
        yield from tasks_of(session, plan, prune=prune)


def tasks_of(session: Session, plan: Plan, *, prune: bool) -> Iterator[Task]:
    """The doit tasks of one plan: of its stages, and of its setting."""
    if session.pulls:
        _pull(session, plan)
    looked_at = _to_look_at(session, plan) if prune else plan.stages
    for stage in looked_at:
        yield _task(session, plan.setting, stage)
    names = {stage.name for stage in looked_at}
    done = [stage.name for stage in plan.roots if stage.name not in names]
    session.done[plan.setting] = done
    yield _group(
        plan.setting,
        session.project.zoo[plan.setting].description,
        stages=[stage.name for stage in plan.roots if stage.name in names],
        done=done,
        complete=(session.project.complete, [plan]),
    )


def _pull(session: Session, plan: Plan) -> None:
    """Take what is not here from the shared store, if there is one. With nothing to do,
    it is not asked."""
    project = session.project
    if project.config.store and not project.complete(plan) and project.sharing:
        project.sharing.pull([*plan.stages])


def _to_look_at(session: Session, plan: Plan) -> list[Stage]:
    """The stages of the setting that a run must look at: stale ones, those that they
    are made from, and those that are made from them. The others need no task."""
    store = session.project.store
    stale = {s.key for s in plan.roots if store.why_stale(s) is not None}
    if not stale:
        return []
    needed: set[str] = set()
    for stage in reversed(plan.stages):  # each stage comes after its dependents
        if (
            stage.key in stale
            or stage.key in needed
            or any(used.key in stale for used in _made_before(stage))
        ):
            needed.add(stage.key)
            used = (*stage.setup, *stage.upstream, *_made_before(stage))
            needed.update(one.key for one in used)
    return [stage for stage in plan.stages if stage.key in needed]


def _made_before(stage: Stage) -> Iterator[Stage]:
    """The stages that must be looked at before this one. Kinds that are made on demand,
    such as the rows of a teacher, are replaced by what they are made from: a trained
    student does not need the rows any more, but its teacher may have other weights
    now."""
    for used in stage.upstream:
        if used.kind in ON_DEMAND:
            yield from _made_before(used)
        else:
            yield used


def _task(session: Session, setting: str, stage: Stage) -> Task:
    owner = session.owners.setdefault(stage.key, stage.name)
    if owner != stage.name:
        session.aliases[stage.name] = stage
        return Task(
            stage.name,
            None,
            task_dep=[owner],
            uptodate=[(_is_up_to_date, [session, stage])],
            subtask_of=setting,
            doc=f"the same as {owner}{_status(session, stage)}",
        )
    target = session.record_path(stage)
    session.stages[stage.name] = stage
    session.targets[target] = stage
    # files that setup stages make are no dependencies, as they may not exist yet
    made = {
        session.project.store.planned_file(used, DATA)
        for used in stage.setup
        if used.kind == "dataset"
    }
    files = [path for path in stage.files if path not in made]
    before = list(dict.fromkeys(_made_before(stage)))
    return Task(
        stage.name,
        [(make_stage, [stage])],
        file_dep=[*map(place_of, files), *map(session.record_path, before)],
        # without dependencies, a stage is up to date if its target exists
        uptodate=[True] if not files and not before else [],
        targets=[target],
        setup=[session.owners[used.key] for used in stage.setup],
        subtask_of=setting,
        doc=_doc(stage) + _status(session, stage),
        meta={"key": stage.key},
    )


def _status(session: Session, stage: Stage) -> str:
    """The status that `doit list --status` adds to a stage's line; empty if the stage
    is up to date, by an artifact of its own. doit's own letters say no more than
    whether it is."""
    status = session.statuses.of(stage) if session.statuses else None
    word = "ok" if status is None else "accepted" if status.accepted else status.word
    return "" if word == "ok" else f" ({word})"


def _is_up_to_date(session: Session, stage: Stage) -> bool:
    return session.project.store.why_stale(stage) is None


def make_stage(stage: Stage) -> None:
    """The action of a stage's task. It marks the task: the runner makes the stage
    itself (`running.run.run_stage`), with the workers and payments of the run."""
    raise TypeError(f"{stage} is made by this package's runner only")


def stage_of(task: Task) -> Stage | None:
    """The stage that a task makes; None for a group, an alias or a user's own task."""
    action = task.actions[0] if task.actions else None
    if action is None or getattr(action, "py_callable", None) is not make_stage:
        return None
    stage: Stage = action.args[0]
    return stage


def needed(dispatcher: TaskDispatcher) -> list[Task]:
    """The tasks that the command selects and those that they need, in an order in which
    each comes after its dependencies."""
    return reached(dispatcher.tasks, dispatcher.selected_tasks)


def reached(tasks: Mapping[str, Task], selected: Iterable[str]) -> list[Task]:
    """The selected tasks and those that they need, each after its dependencies."""
    found: dict[str, Task] = {}
    seen: set[str] = set()

    def add(name: str) -> None:
        task = tasks.get(name)
        if task is None or name in seen:
            return
        seen.add(name)
        for used in (*task.setup_tasks, *task.task_dep):
            add(used)
        found[name] = task

    for name in selected:
        add(name)
    return list(found.values())


def _group(
    name: str,
    description: str,
    *,
    stages: Sequence[str] = (),
    done: Sequence[str] = (),
    complete: tuple[Any, list[Any]] | None = None,
) -> Task:
    return Task(
        name,
        None,
        task_dep=list(stages),
        uptodate=[complete] if complete and stages else [True],
        has_subtask=True,
        doc=shown(description),
        meta={DONE: done} if done else None,
    )


def _doc(stage: Stage) -> str:
    """The description of a stage in `doit list`."""
    match stage.params:
        case EvalParams(task, subject):
            what = "" if stage.kind == "eval" else "answers to "
            learned = f", fine-tuned on {subject.dataset_name}"
            trained = "" if subject.seed is None else learned
            return f"{what}{task.eval_name} of {subject.model}{trained}"
        case LessonParams(lesson, subject):
            return f"{lesson.dataset_name}, sampled from {subject.model}"
        case BaseParams(model):
            return f"base model {model}"
        case FetchParams(name):
            return f"{name}, fetched"
        case StepParams(name, step):
            return f"{name}, made by {step['step']}"
        case UploadParams(path):
            return f"upload of {_derived(stage) or path}"
        case ModelParams(path, model=model, seed=seed):
            rows = _derived(stage) or path
            return f"{model} fine-tuned on {rows}, seed {seed}"
    raise TypeError(f"{stage.name} has {stage.params}")


def _derived(stage: Stage) -> str | None:
    """The name of the derived dataset that a stage uses; None if it uses a file."""
    made = (name_of(used) for used in stage.setup if used.kind == "dataset")
    return next(made, None)
