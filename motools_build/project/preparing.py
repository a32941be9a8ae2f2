"""Checks made before a run begins, so that nothing is paid for in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from motools_build.account import Account
from motools_build.errors import ArtifactError
from motools_build.project.checks import check_datasets
from motools_build.project.executing import check_cluster
from motools_build.project.project import Project
from motools_build.stages import Stage

Say = Callable[[str], object]
"""Shows the user a line, which is given without its newline."""


def prepare(
    project: Project, stages: Collection[Stage], say: Say, always: bool
) -> None:
    """Fetch remote datasets, and refuse what a run could not use: rows with problems,
    an account without a key, a wrong settle time, launcher or cluster. What only the
    making of stages needs is not looked at if there is nothing to do; with `always`,
    there is.

    Tells the user who pays and which models will be shut down, and adds the run to the
    run log. Raises MotoolsError, before anything is made or paid.
    """
    with _artifacts_written():
        store = project.store
        project.derive.fetch(stage for stage in stages if store.why_stale(stage))
        for note in project.derive.told:
            say(note)
        check_datasets(project, stages)
        stale = [
            stage
            for stage in stages  # what is accepted is never made
            if store.why_stale(stage) and not store.accepted.of(stage.key)
        ]
        if always or stale:
            _check(project, stale, say)
        project.note_run()


def _check(project: Project, stale: Sequence[Stage], say: Say) -> None:
    from motools_build.project.remote import check_keys, payers

    _ = project.settle, project.launcher  # each raises InputError
    config = project.config
    check_cluster(project.variables, config.executor, config.store)
    check_keys(stale)
    accounts = payers(stale)
    for account in accounts:
        say(f"paid to {account}")
    _say_offers(project, stale, say)
    if accounts:
        _say_endings(project, stale, accounts, say)


def _say_offers(project: Project, stale: Sequence[Stage], say: Say) -> None:
    """Tell the user which results could be kept, as only comments differ."""
    if not project.store.snapshots.folder.is_dir():
        return
    from motools_build.project.offering import offer, offered

    for line in offer(offered(project, stale)):
        say(line)


def _say_endings(
    project: Project, stages: Sequence[Stage], accounts: Sequence[Account], say: Say
) -> None:
    """Tell the user which models will be shut down, when, and which stages to run
    before. The accounts, which would pay, are asked for the dates, once a day each."""
    from motools_build.project.remote import ask_calendar
    from motools_build.report.calendar import endings

    for problem in asyncio.run(ask_calendar(project, accounts)):
        say(problem)
    for ending in endings(stages, project.store, project.shutdowns):
        say(str(ending))


@contextmanager
def _artifacts_written() -> Iterator[None]:
    """Turn an OSError of writing into artifacts/ into an ArtifactError that says so."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"artifacts/ cannot be written ({error}); nothing was run: free some "
            "space, or mend its permissions"
        ) from error
