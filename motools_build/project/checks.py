"""Checks of dataset rows and prompts, made before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import islice

from motools_build.data.prompts import prompt_problems
from motools_build.data.rows.checks import SHOWN, Rules, check_file, listed
from motools_build.data.source import Source
from motools_build.errors import DatasetError
from motools_build.keys import Digest
from motools_build.params import LessonParams, ModelParams
from motools_build.project.project import Project
from motools_build.running.derived import source_of, source_of_file
from motools_build.running.learned import Learned, rows_of
from motools_build.specs.backends import BackendFacts
from motools_build.specs.model_name import ModelName
from motools_build.stages import Stage


def check_datasets(project: Project, stages: Iterable[Stage]) -> None:
    """Validate the rows of each dataset that a stale stage will read.

    Raises DatasetError, which lists the problems of all datasets together.
    """
    problems: dict[str, None] = {}  # several models may share a dataset
    for stage in stages:
        problems |= dict.fromkeys(problems_of(project, stage))
    if problems:
        raise DatasetError(listed(list(problems)) + "\nnothing was run")


def refused(project: Project, stage: Stage) -> str | None:
    """Why a run would refuse a stage: the first problem of its rows or prompts, and the
    number of further ones. None if there is no problem."""
    problems = problems_of(project, stage)
    if not problems:
        return None
    more = f" (and {len(problems) - 1} more: doit datasets)" if problems[1:] else ""
    return f"{problems[0]}{more}"


def problems_of(project: Project, stage: Stage) -> list[str]:
    """The problems of a model's training rows and held-out rows, or of the prompts that
    a teacher is to answer; none if the stage is up to date. Rows that a teacher has yet
    to write or a run has yet to fetch are left out."""
    asks = stage.kind == "dataset" and stage.asks
    if not (asks or stage.kind == "model") or not project.store.why_stale(stage):
        return []
    if asks:
        return asked_problems(project, stage)
    params, store = ModelParams.of(stage), project.store
    held_out = Learned(params.held_out_path, params.held_out_digest)
    problems = []
    if held_out.path and os.path.exists(held_out.path):
        derived = source_of_file(stage, held_out, store)
        problems = _learned_problems(project, params, held_out, derived, few=True)
    rows = rows_of(stage, store)
    if rows is None or (stage.sampled and store.why_stale(stage.sampled)):
        return problems
    if not os.path.exists(rows.path):  # a run fetches the file, and then checks it
        return problems
    derived = source_of(stage, rows, store)
    return _learned_problems(project, params, rows, derived) + problems


def _learned_problems(
    project: Project,
    params: ModelParams,
    rows: Learned,
    derived: Source | None,
    few: bool = False,
) -> list[str]:
    """The problems of rows that a model is trained on or, with `few`, its loss is
    measured on: those may be fewer than a training needs."""
    method, model = params.recipe.method, ModelName.parse(params.model)
    facts = model.facts
    rules = facts.rules()
    if few:
        rules = replace(rules, name=f"{rules.name} held out", minimum=1)
    problems = row_problems(project, rows, method, rules, derived)
    if facts.token_limit(model.model) is not None:
        problems = problems + project.memo.note(
            f"limit-1:{method}:{model.model}:{rows.path}",
            Digest(rows.digest),
            partial(_within_limit, facts, rows.path, method, model.model),
        )
    return problems


def asked_problems(project: Project, stage: Stage) -> list[str]:
    """The problems of the prompts that a teacher is to answer. If the prompts are
    derived, each problem names the line of the source file."""
    lesson = LessonParams.of(stage).task
    rows = Learned(lesson.prompts_path, lesson.prompts_digest)
    problems: list[str] = project.memo.note(
        f"prompts-2:{lesson.system is not None}:{rows.path}",
        Digest(rows.digest),
        partial(prompt_problems, rows.path, lesson.system),
    )
    derived = source_of(stage, rows, project.store)
    if derived is None or not problems:
        return problems
    from motools_build.data.transforms.blame import blamed

    return blamed(problems, derived)


def row_problems(
    project: Project, rows: Learned, method: str, rules: Rules, derived: Source | None
) -> list[str]:
    """The problems of a dataset's rows, each with the source file and line. Cached by
    the file's bytes and its path, because the messages name the path."""
    problems: list[str] = project.memo.note(
        f"rows-2:{method}:{rules.name}:{rows.path}",
        Digest(rows.digest),
        partial(_row_problems, rows.path, method, rules, derived),
    )
    return problems


def _row_problems(
    path: str, method: str, rules: Rules, derived: Source | None
) -> list[str]:
    try:
        problems = check_file(path, method, rules)
        if derived is None:
            return problems
        from motools_build.data.transforms.blame import blamed

        return blamed(problems, derived)
    except OSError as error:
        return [f"{path}: cannot be read ({error})"]


def _within_limit(facts: BackendFacts, path: str, method: str, model: str) -> list[str]:
    try:
        return list(islice(facts.too_long(path, method, model), SHOWN + 1))
    except OSError as error:
        return [f"{path}: cannot be read ({error})"]
