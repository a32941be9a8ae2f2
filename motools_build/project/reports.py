"""Queries of a project: from words of the command line to data.

The commands print this data, and the Python interface returns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from motools_build.errors import MotoolsError, SelectionError
from motools_build.project.declaring import standing
from motools_build.project.project import Project
from motools_build.project.variables import of_plans
from motools_build.running.versions import versions
from motools_build.stages import Stage

if TYPE_CHECKING:
    from motools_build.report.comparisons import Compared
    from motools_build.report.explain import Explanation
    from motools_build.report.overview import Overview
    from motools_build.report.pooled import PooledTable
    from motools_build.report.samples import Transcripts
    from motools_build.report.table import Table


def tables(project: Project, settings: Iterable[str]) -> Iterator[Table]:
    """The results of each setting. Raises InputError for one that cannot be planned."""
    from motools_build.project.past import is_past
    from motools_build.report.table import table

    # variables show a part of a setting, or another one: all else would be off its
    # plan; and what other runs had is off the plan of an earlier one
    with_off_plan = not (of_plans(project.variables) or is_past(project))
    return (
        table(
            project.plan(name),
            project.store,
            standing=standing(project, name),
            with_off_plan=with_off_plan,
        )
        for name in settings
    )


def compared(project: Project, settings: Iterable[str]) -> Iterator[Compared]:
    """The differences between the groups of models of each setting. Raises InputError
    for a setting that cannot be planned."""
    from motools_build.report import comparisons
    from motools_build.report.estimates import Estimates
    from motools_build.report.results import results

    for name in settings:
        found = results(project.plan(name), project.store)
        own = standing(project, name)
        yield comparisons.compared(name, found, Estimates(found), own)


def pooled(
    project: Project, settings: Iterable[str], by: Sequence[str]
) -> Iterator[PooledTable]:
    """The means of each setting over what `by` does not name. Raises InputError for a
    wrong name, or a setting that cannot be planned."""
    from motools_build.report import pooled
    from motools_build.report.results import results

    pooled.named(by)
    return (
        pooled.pooled(name, results(project.plan(name), project.store), by)
        for name in settings
    )


def plannable(
    project: Project, words: Sequence[str]
) -> tuple[Sequence[str], Mapping[str, MotoolsError]]:
    """The words as they are, or, if there are none, the names of all settings that can
    be planned; and the name of each broken setting with its error. A broken setting
    must not hide the others."""
    if words:
        return words, {}
    there = project.zoo.names
    broken = {**project.zoo.misnamed, **project.selection.broken(there)}
    return [name for name in there if name not in broken], broken


def how_far(project: Project, words: Sequence[str]) -> Overview:
    """The progress of the settings that the words mean; without words, of all."""
    from motools_build.report.overview import overview

    named, broken = plannable(project, words)
    stages = project.selection.chosen(named).values()
    said = {name: str(error) for name, error in broken.items()}
    return overview(stages, project.store, said)


def explained(
    project: Project, words: Sequence[str], with_all: bool = False
) -> Explanation:
    """The explanation of the one stage, present or superseded, that the words mean. Of
    a dataset it has the first rows that differ, or `with_all`.

    Raises SelectionError if they mean no stage, or several.
    """
    from motools_build.report.contents import Contents
    from motools_build.report.explain import MOST_ROWS, explanation
    from motools_build.report.status import Statuses

    stages = one_key(project.selection.chosen(words, superseded=True).values())
    if len(stages) != 1:
        names = "\n".join(stage.name for stage in stages[:20])
        raise SelectionError(f"`doit why` explains one stage; name one:\n{names}")
    superseded = project.selection.superseded_by
    status = Statuses(project.store, superseded).of(stages[0])
    return explanation(
        status,
        project.store,
        versions(),
        superseded(stages[0]),
        Contents(project.store, project.memo.digest),
        None if with_all else MOST_ROWS,
    )


def one_key(stages: Iterable[Stage]) -> list[Stage]:
    """The stages, or only the first if all have the same key: then they are the same
    computation under several names."""
    found = list(stages)
    return found[:1] if len({stage.key for stage in found}) == 1 else found


def one_stage(project: Project, word: str, kinds: Sequence[str] = ()) -> Stage:
    """The one stage that a word means, among those of `kinds` if any are given. Raises
    SelectionError if there is none, or if there are several."""
    chosen = project.selection.chosen([word], superseded=True).values()
    found = one_key(stage for stage in chosen if not kinds or stage.kind in kinds)
    if len(found) != 1:
        what = " or ".join(kinds) or "stage"
        names = ", ".join(stage.name for stage in found[:20]) or "none"
        raise SelectionError(f"{word!r} does not mean one {what}, but: {names}")
    return found[0]


def samples(
    project: Project, words: Sequence[str], where: str = ""
) -> list[Transcripts]:
    """The transcripts of the evals that the words mean, limited to the samples that
    match `where` (`score<50 and judge=='yes'`); an empty `where` matches all.

    Raises SelectionError if no word means an eval, InputError for a wrong `where`.
    """
    from motools_build.report.samples import transcripts
    from motools_build.report.status import Statuses
    from motools_build.report.where import Where

    if not words:
        raise SelectionError(
            "name an eval: doit samples 'eval:SETTING/*' (`doit results` and "
            "`doit list --all` have the names)"
        )
    chosen = project.selection.chosen(words, superseded=True).values()
    evals = [stage for stage in chosen if stage.kind == "eval"]
    if not evals:
        raise SelectionError(
            f"{' '.join(words)} is no eval; a name begins with eval:, as in "
            "doit samples 'eval:SETTING/*'"
        )
    asked = Where.parse(where)
    statuses = Statuses(project.store, project.selection.superseded_by)
    return [transcripts(stage, project.store, asked, statuses) for stage in evals]


def every_sample(project: Project, settings: Sequence[str]) -> Iterator[Transcripts]:
    """The transcripts of all evals of settings, one after the other."""
    from motools_build.report.samples import transcripts
    from motools_build.report.status import Statuses

    statuses = Statuses(project.store)
    stages = project.selection.chosen(settings).values()
    for stage in stages:
        if stage.kind == "eval":
            yield transcripts(stage, project.store, statuses=statuses)


def settings_named(project: Project, words: Sequence[str]) -> tuple[str, ...]:
    """The names of the settings that the words mean. Raises SelectionError."""
    for word in words:
        project.selection.chosen([word])  # raises for an unknown word
    return project.selection.settings_of(words or project.default())
