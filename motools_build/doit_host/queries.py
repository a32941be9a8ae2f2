"""Commands that only read: plan, why, status. Results and the base class are named
here, too, for projects and packages that name them so."""

from __future__ import annotations

from json import dumps

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.query import OPT_AT, OPT_JSON, Query
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
        for line in told.offers:
            self._say(line)
        self._say(total(told.stages))


class Why(Query):
    """`doit why STAGE`: shows what a stage's key is made of, and the difference to the
    nearest artifact."""

    name = "why"
    doc_purpose = "show what a stage's key is made of, and why it is stale"
    doc_usage = "STAGE|KEY|JOB [--all] [--at WHEN]"
    doc_description = None
    cmd_options = (
        OPT_JSON,
        OPT_AT,
        {
            "name": "every",
            "long": "all",
            "type": bool,
            "default": False,
            "help": "show all rows that differ, and not only the first",
        },
    )

    def _execute(self, json: bool, at: str, every: bool, pos_args: list[str]) -> int:
        from motools_build.report.drawing.explanation import lines

        self._look_back(at, pos_args)
        session = current()
        found = explained(session.project, pos_args, every)
        named = session.selected if at else ()
        if json:
            of = self._at_json(named[0]) if named else {}
            self._say(dumps({**found.as_json(), **of}, ensure_ascii=False))
            return 0
        for line in self._as_of(named):
            self._say(line)
        for line in lines(found, every):
            self._say(line)
        return 0


class Status(Query):
    """`doit status`: shows the progress of settings; exit code 1 if one is
    incomplete."""

    name = "status"
    doc_purpose = "show how far settings are (exit code 1: not complete)"
    doc_description = "Without names, all settings."
    doc_usage = f"{Query.doc_usage} [--at WHEN] [--store]"
    needs = Needs(tasks=False, default=False, rows=False, tells_broken=True)
    cmd_options = (
        OPT_JSON,
        OPT_AT,
        {
            "name": "store",
            "long": "store",
            "type": bool,
            "default": False,
            "help": "what the team's store has of it, by one listing of the store",
        },
    )

    def _execute(self, json: bool, at: str, store: bool, pos_args: list[str]) -> int:
        from motools_build.report.drawing.overview import print_overview

        if store:
            return self._of_store(pos_args)
        self._look_back(at, pos_args)
        session = current()
        if at and not pos_args:
            pos_args = list(session.selected)
        found = how_far(session.project, pos_args)
        if json:
            of = {name: self._at_json(name)["at"] for name in session.selected if at}
            more = {"at": of} if at else {}
            self._say(dumps({**found.as_json(), **more}, ensure_ascii=False))
        else:
            for line in self._as_of(session.selected if at else ()):
                self._say(line)
            print_overview(found, self.outstream)
        return 0 if found.complete else 1

    def _of_store(self, words: list[str]) -> int:
        from motools_build.doit_host.sharing import lines_of

        project = current().project
        for line in lines_of(project, words or list(project.zoo.names)):
            self._say(line)
        return 0
