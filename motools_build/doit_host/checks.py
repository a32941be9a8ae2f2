"""Rows that a run is to read, looked at before anything runs."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from motools_build.derive import source_of
from motools_build.doit_host.session import Session
from motools_build.errors import DatasetError
from motools_build.keys import Digest
from motools_build.learned import Learned, rows_of
from motools_build.specs.models import ModelName
from motools_build.specs.prompts import prompt_problems
from motools_build.specs.rows import SHOWN, check_file, listed
from motools_build.stages import Stage
from motools_build.tokens import check_limit

if TYPE_CHECKING:
    from motools_build.specs.transforms import Source


def check_datasets(session: Session) -> None:
    """Validate the rows of each dataset that a stale stage is to read.

    Raises DatasetError with all problems of all of them, before anything runs.
    """
    problems: list[str] = []
    stale: dict[tuple[str, str, str], Digest] = {}
    derived: dict[str, Source | None] = {}
    for stage in session.stages.values():
        if stage.kind == "dataset" and stage.asks and session.store.why_stale(stage):
            problems += asked_problems(session, stage)
        if stage.kind == "model" and session.store.why_stale(stage):
            rows = rows_of(stage, session.store)
            if rows is None or (
                stage.sampled and session.store.why_stale(stage.sampled)
            ):
                continue  # written by a teacher in this run, and checked then
            method = stage.params["training"]["method"]
            stale[rows.path, method, stage.params["model"]] = Digest(rows.digest)
            derived[rows.path] = source_of(stage, rows)
    for (path, method, name), digest in stale.items():
        model = ModelName.parse(name)
        rules = model.facts.rules
        rows = Learned(path, digest)
        problems += row_problems(session, rows, method, rules, derived[path])
        if rules == "openai":
            problems += session.memo.note(
                f"limit-1:{method}:{model.model}:{path}",
                digest,
                partial(_within_limit, path, method, model.model),
            )
    problems = list(dict.fromkeys(problems))  # several models may share a dataset
    if problems:
        raise DatasetError(listed(problems) + "\nnothing was run")


def asked_problems(session: Session, stage: Stage) -> list[str]:
    """The problems of the prompts that a teacher is asked."""
    lesson = stage.params["lesson"]
    rows = Learned(lesson["prompts"], lesson["digest"])
    problems: list[str] = session.memo.note(
        f"prompts-2:{lesson['system'] is not None}:{rows.path}",
        Digest(rows.digest),
        partial(prompt_problems, rows.path, lesson["system"]),
    )
    derived = source_of(stage, rows)
    if derived is None or not problems:
        return problems
    from motools_build.specs.transforms.blame import blamed

    return blamed(problems, derived)


def row_problems(
    session: Session, rows: Learned, method: str, rules: str, derived: Source | None
) -> list[str]:
    """The problems of a dataset's rows, at the lines that they come from; remembered
    for its bytes and its path, since they name it."""
    problems: list[str] = session.memo.note(
        f"rows-2:{method}:{rules}:{rows.path}",
        Digest(rows.digest),
        partial(_row_problems, rows.path, method, rules, derived),
    )
    return problems


def _row_problems(
    path: str, method: str, rules: str, derived: Source | None
) -> list[str]:
    try:
        problems = check_file(path, method, rules)
        if derived is None:
            return problems
        from motools_build.specs.transforms.blame import blamed

        return blamed(problems, derived)
    except OSError as error:
        return [f"{path}: cannot be read ({error})"]


def _within_limit(path: str, method: str, model: str) -> list[str]:
    try:
        return list(islice(check_limit(path, method, model), SHOWN + 1))
    except OSError as error:
        return [f"{path}: cannot be read ({error})"]
