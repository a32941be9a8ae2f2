"""`doit samples EVAL`: prints transcripts with their scores."""

from __future__ import annotations

from json import dumps

from motools_build.doit_host.query import OPT_AT, OPT_JSON, Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.reports import samples


class Samples(Query):
    """`doit samples EVAL`: shows messages, answers and scores of samples."""

    name = "samples"
    doc_purpose = "print transcripts of an eval, with their scores"
    doc_usage = "EVAL|PATTERN|KEY|tag:NAME [--where='score<50'] [-n 5] [--at WHEN]"
    doc_description = (
        "EVAL is a stage's name, a pattern, or eight or more digits of a key. --where "
        "compares a score with a number or a text: `score` is the only scorer, NAME "
        "one of several, NAME.KEY a part of its value; `and` joins comparisons. Of an "
        "eval that failed, the log that it left is shown. Exit code 1 if there is no "
        "sample to show."
    )
    cmd_options = (
        OPT_JSON,
        {
            "name": "where",
            "long": "where",
            "type": str,
            "default": "",
            "help": "only samples whose scores match: --where='score<50'",
        },
        {
            "name": "most",
            "short": "n",
            "type": int,
            "default": 5,
            "help": "samples of each eval, at most [default: %(default)s]",
        },
        OPT_AT,
    )

    def _execute(
        self, json: bool, where: str, most: int, at: str, pos_args: list[str]
    ) -> int:
        from motools_build.report.drawing.samples import print_transcripts

        if most < 1:
            raise InvalidCommand(f"-n {most}: write a number of samples, 1 or more")
        self._look_back(at, pos_args)
        found = samples(current().project, pos_args, where)
        if json:
            body = [
                {**one.as_json(most), **self._at_json(one.stage.setting)}
                for one in found
            ]
            self._say(dumps(body, ensure_ascii=False))
        else:
            for line in self._as_of(current().selected if at else ()):
                self._say(line)
            for one in found:
                print_transcripts(one, where, most, self.outstream)
        return 0 if any(one.matching for one in found) else 1
