"""What `doit results` can tell, each in every form: results, differences, means over
what is not named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from json import dumps
from typing import Any

from motools_build.project.project import Project
from motools_build.text.visible import shown


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

    def tell(self, settings: Sequence[str], form: str, stream: Any) -> None:
        """Write the data of settings to a stream of text, in any form but Parquet."""
        from motools_build.report.drawing.csv import write_csv

        found = self.find(settings)
        if form == "csv":
            write_csv(stream, self.columns, (row for of in found for row in of.flat()))
            return
        for of in found:
            if form == "json":
                stream.write(shown(dumps(of.as_json(), ensure_ascii=False)) + "\n")
            elif form == "table":
                self.printed(of, stream)
            else:
                stream.write(shown(self.written(of, form)) + "\n")


def results(project: Project) -> Kind:
    """The results of each cell, and means over seeds."""
    from motools_build.project.reports import tables
    from motools_build.report.drawing.results import print_results
    from motools_build.report.drawing.written import written
    from motools_build.report.table import FLAT

    logs = str(project.store.root)
    find = partial(tables, project)
    return Kind(FLAT, find, written, partial(print_results, logs=logs))


def differences(project: Project) -> Kind:
    """The differences between groups of models."""
    from motools_build.project.reports import compared
    from motools_build.report.comparisons import COMPARISON
    from motools_build.report.drawing.differences import print_differences
    from motools_build.report.drawing.written import differences_written

    columns = ("setting", *COMPARISON)
    find = partial(compared, project)
    return Kind(columns, find, differences_written, print_differences)


def means_by(project: Project, by: Sequence[str]) -> Kind:
    """Means over what `by` does not name. Raises InputError for a wrong name."""
    from motools_build.project.reports import pooled
    from motools_build.report.drawing.pooled import print_pooled
    from motools_build.report.drawing.written import pooled_written
    from motools_build.report.pooled import POOLED, named

    columns = ("setting", *named(by), *POOLED)
    return Kind(columns, partial(pooled, project, by=by), pooled_written, print_pooled)
