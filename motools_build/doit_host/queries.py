"""Commands that only read: plan, why, status. Results and the base class are named
here, too, for projects and packages that name them so."""

from __future__ import annotations

from json import dumps

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.query import OPT_JSON, Query
from motools_build.doit_host.results import Results
from motools_build.doit_host.session import current
from motools_build.project.forecast import Forecast, forecast
from motools_build.project.reports import explained, how_far

__all__ = ("OPT_JSON", "Plan", "Query", "Results", "Status", "Why")


class Plan(Query):
    """`doit plan`: shows what a run would do."""

    name = "plan"
    doc_purpose = "show what a run would do, and why"
    needs = Needs(tasks=False)
    cmd_options = (
        OPT_JSON,
        {
            "name": "remote",
            "long": "remote",
            "type": bool,
            "default": False,
            "help": "look at the providers too, for jobs that could be adopted",
        },
    )

    def _execute(self, json: bool, remote: bool, pos_args: list[str]) -> int:
        session = current()
        words = pos_args or session.selected
        stages = list(session.project.selection.chosen(words).values())
        told = forecast(session.project, stages, remote)
        if json:
            body = [one.as_json() for one in told.stages]
            self._say(dumps(body, ensure_ascii=False))
        else:
            self._tell(told)
        return 0

    def _tell(self, told: Forecast) -> None:
        from motools_build.report.drawing.forecasts import lines, total

        for account in told.accounts:
            self._say(f"paid to {account}")
        for line in (*told.unanswered, *told.endings, *lines(told.stages)):
            self._say(str(line))
        for said in told.warnings:
            self._say(f"warning: {said}")
        self._say(total(told.stages))


class Why(Query):
    """`doit why STAGE`: shows what a stage's key is made of, and the difference to the
    nearest artifact."""

    name = "why"
    doc_purpose = "show what a stage's key is made of, and why it is stale"
    doc_usage = "STAGE|KEY|JOB"
    doc_description = None

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        from motools_build.report.drawing.explanation import lines

        found = explained(current().project, pos_args)
        if json:
            self._say(dumps(found.as_json(), ensure_ascii=False))
            return 0
        for line in lines(found):
            self._say(line)
        return 0


class Status(Query):
    """`doit status`: shows the progress of settings; exit code 1 if one is
    incomplete."""

    name = "status"
    doc_purpose = "show how far settings are (exit code 1: not complete)"
    doc_description = "Without names, all settings."
    needs = Needs(tasks=False, default=False, rows=False, tells_broken=True)

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        from motools_build.report.drawing.overview import print_overview

        found = how_far(current().project, pos_args)
        if json:
            self._say(dumps(found.as_json(), ensure_ascii=False))
        else:
            print_overview(found, self.outstream)
        return 0 if found.complete else 1
