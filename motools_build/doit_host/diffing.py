"""`doit diff`: what differs between settings, arms, runs or locks."""

from __future__ import annotations

from json import dumps

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.query import Query
from motools_build.doit_host.session import current
from motools_build.project.diffing import differing


class Diff(Query):
    """`doit diff A B`: shows which inputs differ, and which results moved."""

    name = "diff"
    doc_purpose = "show which inputs differ between two settings, arms, runs or locks"
    doc_usage = "A [B]"
    doc_description = (
        "Each is SETTING, SETTING/ARM, SETTING@WHEN (a run, a date, a git commit), a "
        "run's ID, or a lock's path. One earlier one alone is compared with now."
    )
    needs = Needs(tasks=False, default=False, rows=False)

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        found = differing(current().project, pos_args)
        if json:
            self._say(dumps(found.as_json(), ensure_ascii=False))
            return 0
        from motools_build.report.drawing.diff import print_diff

        print_diff(found, self.outstream)
        return 0
