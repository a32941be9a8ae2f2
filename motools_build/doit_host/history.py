"""`doit history`: the runs of settings, and the keys of a stage, over time."""

from __future__ import annotations

from json import dumps

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.query import OPT_JSON, Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.histories import history_of, setting_histories
from motools_build.report.drawing.history import lines

MOST, BRIEF = 10, 3
"""Number of runs or keys that are shown of what is named, and of runs of each setting
if nothing is."""


class History(Query):
    """`doit history`: shows what ran when, and what changed."""

    name = "history"
    doc_purpose = "show what ran when, what changed since, and results then and now"
    doc_usage = "[SETTING|STAGE|KEY] [-n 10] [--long]"
    doc_description = (
        "Without a name, the last runs of all settings. A setting's runs are newest "
        "first, a stage's keys too; what was renamed is followed by its keys."
    )
    needs = Needs(tasks=False, default=False, rows=False)
    cmd_options = (
        OPT_JSON,
        {
            "name": "most",
            "short": "n",
            "type": int,
            "default": None,
            "help": f"runs or keys, at most [default: {MOST}; {BRIEF} without a name]",
        },
        {
            "name": "every",
            "long": "long",
            "type": bool,
            "default": False,
            "help": "show the results of all groups of models in each run",
        },
    )

    def _execute(
        self, json: bool, most: int | None, every: bool, pos_args: list[str]
    ) -> int:
        if most is not None and most < 1:
            raise InvalidCommand(f"-n {most}: write a number, 1 or more")
        if len(pos_args) > 1:
            raise InvalidCommand("doit history takes one name: a setting, stage or key")
        project = current().project
        if pos_args:
            found = [history_of(project, pos_args[0], most or MOST, every)]
        else:
            found = [*setting_histories(project, (), most or BRIEF, every)]
        if json:
            body = [one.as_json() for one in found]
            self._say(dumps(body, ensure_ascii=False))
            return 0
        for number, one in enumerate(found):
            if number:
                self._say("")
            for line in lines(one):
                self._say(line)
        return 0
