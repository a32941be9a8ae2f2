"""`doit results`: the results of settings, in several forms."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from json import dumps

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.queries import OPT_JSON, Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.project import Project
from motools_build.project.reports import compared, tables

FORMS = ("table", "csv", "json", "md", "latex")
"""The forms of results."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Disable Python's cyclic garbage collector while results are computed: they are
    hundreds of thousands of small objects that all stay alive, so it would find
    nothing, and takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Results(Query):
    """`doit results`: shows the table of results, without network or new runs."""

    name = "results"
    doc_purpose = "show a setting's results; stale, missing and failed ones as such"
    doc_usage = "[SETTING...] [model=...] [seeds=...]"
    needs = Needs(tasks=False, rows=False)
    cmd_options = (
        OPT_JSON,
        {
            "name": "csv",
            "long": "csv",
            "type": bool,
            "default": False,
            "help": "print CSV: a row for each model, eval and metric",
        },
        {
            "name": "format",
            "long": "format",
            "type": str,
            "default": "table",
            "choices": tuple((form, "") for form in FORMS),
            "help": "table, csv, json, md (Markdown) or latex",
        },
        {
            "name": "differences",
            "long": "differences",
            "type": bool,
            "default": False,
            "help": "compare the models of each arm or dataset with the others and "
            "with the base model",
        },
    )

    def _execute(
        self,
        json: bool,
        csv: bool,
        format: str,
        differences: bool,
        pos_args: list[str],
    ) -> int:
        session = current()
        given = {"json": json, "csv": csv, format: format != "table"}
        forms = [name for name, is_given in given.items() if is_given]
        if len(forms) > 1:
            raise InvalidCommand(f"{' and '.join(forms)} are two forms; ask for one")
        for name in pos_args:
            session.project.selection.chosen([name])  # raises for an unknown name
        tell = self._compare if differences else self._tell
        with uncollected():
            tell(session.project, session.selected, forms[0] if forms else "table")
        return 0

    def _tell(self, project: Project, settings: Sequence[str], form: str) -> None:
        from motools_build.report.drawing.csv import csv_of
        from motools_build.report.drawing.results import print_results

        found = tables(project, settings)
        if form == "csv":
            self._say(csv_of(found).removesuffix("\n"))
            return
        for one in found:
            if form == "json":
                self._say(dumps(one.as_json(), ensure_ascii=False))
            elif form == "md" or form == "latex":
                from motools_build.report.drawing.written import written

                self._say(written(one, form))
            else:
                print_results(one, self.outstream, str(project.store.root))

    def _compare(self, project: Project, settings: Sequence[str], form: str) -> None:
        from motools_build.report.drawing.differences import (
            differences_csv,
            print_differences,
        )

        found = compared(project, settings)
        if form == "csv":
            self._say(differences_csv(found).removesuffix("\n"))
            return
        for of in found:
            if form == "json":
                self._say(dumps(of.as_json(), ensure_ascii=False))
            elif form == "md" or form == "latex":
                from motools_build.report.drawing.written import differences_written

                self._say(differences_written(of, form))
            else:
                print_differences(of, self.outstream)
