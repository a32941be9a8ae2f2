"""What `doit results` can tell, each in every form: results, differences, means over
what is not named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from json import dumps
from typing import Any

from motools_build.project.past import run_shown
from motools_build.project.project import Project
from motools_build.report.past import as_of, at_json
from motools_build.text.visible import shown

Told = Callable[[str], None]
"""What is called with each sentence about a lock."""

MARKS = {"table": "{}", "md": "{}\n", "latex": "% {}"}
"""Form -> how it has a line above its tables."""


@dataclass(frozen=True)
class Kind:
    """A kind of results. What is found has `as_json` and `flat`."""

    columns: Sequence[str]
    """The columns of the flat rows."""
    find: Callable[[Sequence[str]], Iterator[Any]]
    """The data of each of the settings."""
    written: Callable[[Any, str], str]
    """One setting's data as Markdown (`md`) or `latex`."""
    printed: Callable[[Any, Any], None]
    """Print one setting's data to a stream as a table."""
    project: Project

    def tell(self, settings: Sequence[str], form: str, stream: Any) -> None:
        """Write the data of settings to a stream of text, in any form but Parquet."""
        from motools_build.report.drawing.csv import write_csv

        found = self.find(settings)
        if form == "csv":
            write_csv(stream, self.columns, (row for of in found for row in of.flat()))
            return
        for name, of in zip(settings, found, strict=True):
            run = run_shown(self.project, name)
            if form == "json":
                body = {**of.as_json(), **({"at": at_json(run)} if run else {})}
                stream.write(shown(dumps(body, ensure_ascii=False)) + "\n")
                continue
            if run:
                line = as_of(run, name)
                stream.write(shown(MARKS[form].format(line)) + "\n")
            if form == "table":
                self.printed(of, stream)
            else:
                stream.write(shown(self.written(of, form)) + "\n")


def results(project: Project, locked: Told | None = None) -> Kind:
    """The results of each cell, and means over seeds; with `locked`, from locks."""
    from motools_build.project.locked import locked_tables
    from motools_build.project.reports import tables
    from motools_build.report.drawing.results import print_results
    from motools_build.report.drawing.written import written
    from motools_build.report.table import FLAT

    logs = str(project.store.root)
    find = (
        partial(locked_tables, project, locked) if locked else partial(tables, project)
    )
    return Kind(FLAT, find, written, partial(print_results, logs=logs), project)


def differences(project: Project, locked: Told | None = None) -> Kind:
    """The differences between groups of models; with `locked`, from locks."""
    from motools_build.project.locked import locked_compared
    from motools_build.project.reports import compared
    from motools_build.report.comparisons import COMPARISON
    from motools_build.report.drawing.differences import print_differences
    from motools_build.report.drawing.written import differences_written

    columns = ("setting", *COMPARISON)
    find = (
        partial(locked_compared, project, locked)
        if locked
        else partial(compared, project)
    )
    return Kind(columns, find, differences_written, print_differences, project)


def means_by(project: Project, by: Sequence[str], locked: Told | None = None) -> Kind:
    """Means over what `by` does not name; with `locked`, from locks. Raises InputError
    for a wrong name."""
    from motools_build.project.locked import locked_pooled
    from motools_build.project.reports import pooled
    from motools_build.report.drawing.pooled import print_pooled
    from motools_build.report.drawing.written import pooled_written
    from motools_build.report.pooled import POOLED, named

    columns = ("setting", *named(by), *POOLED)
    find = (
        partial(locked_pooled, project, locked, by=by)
        if locked
        else partial(pooled, project, by=by)
    )
    return Kind(columns, find, pooled_written, print_pooled, project)
