"""Results that are told from locks, as `reports` tells them from artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from motools_build.project.locking import FromLock, from_lock
from motools_build.project.project import Project
from motools_build.text import hints

if TYPE_CHECKING:
    from motools_build.report.comparisons import Compared
    from motools_build.report.pooled import PooledTable
    from motools_build.report.table import Table

Tell = Callable[[str], None]
"""What is called with each sentence about a lock, before its results are told."""


def locked_tables(
    project: Project, tell: Tell, settings: Iterable[str]
) -> Iterator[Table]:
    """The results of each setting. Raises InputError for a wrong lock."""
    from motools_build.report.table import table_of, with_gone

    return (
        with_gone(
            table_of(one.lock.setting, one.found, standing=one.standing),
            one.lock.off_plan,
            one.standing,
        )
        for one in _read(project, tell, settings)
    )


def locked_compared(
    project: Project, tell: Tell, settings: Iterable[str]
) -> Iterator[Compared]:
    """The differences between the groups of models of each setting. Raises InputError
    for a wrong lock."""
    from motools_build.report import comparisons
    from motools_build.report.estimates import Estimates

    return (
        comparisons.compared(
            one.lock.setting, one.found, Estimates(one.found), one.standing
        )
        for one in _read(project, tell, settings)
    )


def locked_pooled(
    project: Project, tell: Tell, settings: Iterable[str], by: Sequence[str]
) -> Iterator[PooledTable]:
    """The means of each setting over what `by` does not name. Raises InputError for a
    wrong name or lock."""
    from motools_build.report import pooled

    pooled.named(by)
    return (
        pooled.pooled(one.lock.setting, one.found, by)
        for one in _read(project, tell, settings)
    )


def _read(project: Project, tell: Tell, settings: Iterable[str]) -> list[FromLock]:
    """The locks of all settings, before anything of one is told."""
    found = [from_lock(project, name) for name in settings]
    for one in found:
        hints.remember(one.lock.variables)  # for commands in what is told of results
        for sentence in one.told:
            tell(sentence)
    return found
