"""Commands that look and change nothing: results, plan, why, status."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from inspect import signature
from json import dumps
from typing import Any

from doit.cmd_base import DoitCmdBase

from motools_build.doit_host.helping import Helped
from motools_build.doit_host.terminal import InvalidCommand, of_the_system
from motools_build.errors import MotoolsError
from motools_build.project.checks import refused
from motools_build.project.loadable import told_of_loads
from motools_build.project.remote import ask_calendar, looked_up, payers
from motools_build.project.session import Session, current
from motools_build.running.run import versions
from motools_build.stages import Stage
from motools_build.text.visible import shown

OPT_JSON = {
    "name": "json",
    "long": "json",
    "type": bool,
    "default": False,
    "help": "print JSON",
}


class Query(Helped, DoitCmdBase):  # type: ignore[misc]
    """A command over plans: no stage becomes a task, and nothing is made."""

    doc_usage = "[SETTING|STAGE|PATTERN|KEY|JOB|tag:NAME...] [model=...] [seeds=...]"
    doc_description: str | None = "Without names, the default setting."
    cmd_options: tuple[dict[str, Any], ...] = (OPT_JSON,)
    broken: Mapping[str, MotoolsError] = {}
    """Settings that could not be planned, where none was named."""

    def parse_execute(self, in_args: list[str]) -> int:
        # options may stand after names, too
        ordered = sorted(in_args, key=lambda word: not word.startswith("-"))
        return int(super().parse_execute(ordered))

    def execute(self, params: Any, args: list[str]) -> int:
        if self.helped(params):
            return 0
        if args and "pos_args" not in signature(self._execute).parameters:
            raise InvalidCommand(
                f"`doit {self.name}` takes no names, such as {args[0]!r}"
            )
        try:
            return int(super().execute(params, args))
        except MotoolsError as error:
            raise InvalidCommand(str(error)) from error
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # `doit jobs | head`: no one reads on
            raise
        except OSError as error:
            raise of_the_system(error) from error

    def _say(self, text: str) -> None:
        self.outstream.write(shown(text) + "\n")

    def _stages(self, session: Session, words: list[str]) -> list[Stage]:
        return list(session.chosen(words or session.selected).values())

    def _planned(self, session: Session, words: list[str]) -> list[str]:
        """The words; without any, the settings that can be planned: a broken one hides
        nothing of the others."""
        if words:
            return words
        there = session.zoo.names
        self.broken = {**session.zoo.misnamed, **session.broken(there)}
        return [name for name in there if name not in self.broken]

    def _tell_broken(self) -> None:
        for name, error in self.broken.items():
            self._say(f"broken   {name}: {error}")


class Results(Query):
    """`doit results`: the table, without network or rerun."""

    name = "results"
    doc_purpose = "show a setting's results; stale, missing and failed ones as such"
    doc_usage = "[SETTING...] [model=...] [seeds=...]"
    cmd_options = (
        OPT_JSON,
        {
            "name": "csv",
            "long": "csv",
            "type": bool,
            "default": False,
            "help": "print CSV: a row for each model, eval and metric",
        },
    )

    def _execute(self, json: bool, csv: bool, pos_args: list[str]) -> int:
        from motools_build.report.drawing.csv import csv_of
        from motools_build.report.drawing.results import print_results
        from motools_build.report.table import table

        session = current()
        if json and csv:
            raise InvalidCommand("--json and --csv are two forms; ask for one")
        for name in pos_args:
            session.chosen([name])  # refuses a name that means nothing
        found = (table(session.plan(name), session.store) for name in session.selected)
        if csv:
            self._say(csv_of(found).removesuffix("\n"))
            return 0
        for one in found:
            if json:
                self._say(dumps(one.as_json(), ensure_ascii=False))
            else:
                print_results(one, self.outstream, str(session.store.root))
        return 0


class Plan(Query):
    """`doit plan`: what a run would do, before it does."""

    name = "plan"
    doc_purpose = "show what a run would do, and why"
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
        from motools_build.report.calendar import endings
        from motools_build.report.drawing.intents import lines, total
        from motools_build.report.intents import intents

        session = current()
        stages = self._stages(session, pos_args)
        wrong = partial(refused, session)
        found = intents(stages, session.store, session.charge, wrong)
        notes: list[str] = []
        if remote:
            found = asyncio.run(looked_up(session, found))
            notes = asyncio.run(ask_calendar(session, payers(stages)))
        found, warnings = told_of_loads(session, found)
        session.memo.save()
        if json:
            self._say(dumps([i.as_json() for i in found], ensure_ascii=False))
            return 0
        for account in payers(stages):
            self._say(f"paid to {account}")
        for line in (*notes, *endings(stages, session.store, session.shutdowns)):
            self._say(str(line))
        for line in lines(found):
            self._say(line)
        for said in warnings:
            self._say(f"warning: {said}")
        self._say(total(found))
        return 0


class Why(Query):
    """`doit why STAGE`: what its key is made of, and what differs from what exists."""

    name = "why"
    doc_purpose = "show what a stage's key is made of, and why it is stale"
    doc_usage = "STAGE|KEY|JOB"
    doc_description = None

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        from motools_build.report.drawing.explanation import lines
        from motools_build.report.explain import explanation
        from motools_build.report.status import Statuses

        session = current()
        stages = list(session.chosen(pos_args, superseded=True).values())
        if len({stage.key for stage in stages}) != 1:
            names = "\n".join(stage.name for stage in stages[:20])
            raise InvalidCommand(f"`doit why` explains one stage; name one:\n{names}")
        stage, store = stages[0], session.store
        status = Statuses(store, session.superseded_by).of(stage)
        superseded = session.superseded_by(stage)
        found = explanation(status, store, versions(), superseded)
        if json:
            self._say(dumps(found.as_json(), ensure_ascii=False))
            return 0
        for line in lines(found):
            self._say(line)
        return 0


class Status(Query):
    """`doit status`: how far the settings are; exit code 1 if one is incomplete."""

    name = "status"
    doc_purpose = "show how far settings are (exit code 1: not complete)"
    doc_description = "Without names, all settings."

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        from motools_build.report.drawing.overview import print_overview
        from motools_build.report.overview import overview

        session = current()
        stages = session.chosen(self._planned(session, pos_args)).values()
        broken = {name: str(error) for name, error in self.broken.items()}
        found = overview(stages, session.store, broken)
        if json:
            self._say(dumps(found.as_json(), ensure_ascii=False))
        else:
            print_overview(found, self.outstream)
        return 0 if found.complete else 1
