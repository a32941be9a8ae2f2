"""`doit samples EVAL`: transcripts, with their scores."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from motools_build.doit_host.queries import OPT_JSON, Query
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.session import current

if TYPE_CHECKING:
    from motools_build.report.samples import Transcripts

TAKES_A_WORD = ("-n", "--where")


class Samples(Query):
    """`doit samples EVAL`: what was asked, answered and scored."""

    name = "samples"
    doc_purpose = "print transcripts of an eval, with their scores"
    doc_usage = "EVAL|PATTERN|KEY|tag:NAME [--where='score<50'] [-n 5]"
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
    )

    def parse_execute(self, in_args: list[str]) -> int:
        # options are sorted to the front: one and its value must be one word
        words: list[str] = []
        for word in in_args:
            if words and words[-1] in TAKES_A_WORD:
                option = words.pop()
                word = f"{option}{'=' if option.startswith('--') else ''}{word}"
            words.append(word)
        return super().parse_execute(words)

    def _execute(self, json: bool, where: str, most: int, pos_args: list[str]) -> int:
        from motools_build.report.samples import as_json, transcripts
        from motools_build.report.where import Where

        session = current()
        if most < 1:
            raise InvalidCommand(f"-n {most}: write a number of samples, 1 or more")
        if not pos_args:
            raise InvalidCommand(
                "name an eval: doit samples 'eval:SETTING/*' (`doit results` and "
                "`doit list --all` have the names)"
            )
        chosen = session.chosen(pos_args, superseded=True).values()
        evals = [stage for stage in chosen if stage.kind == "eval"]
        if not evals:
            raise InvalidCommand(
                f"{' '.join(pos_args)} is no eval; a name begins with eval:, as in "
                "doit samples 'eval:SETTING/*'"
            )
        asked = Where.parse(where)
        for stage in evals:
            told = None if json else session.superseded_by(stage)
            if told:
                self._say(told)
        older = session.store.runs.older_keys()
        found = [transcripts(s, session.store, asked, older) for s in evals]
        if json:
            body = [
                {
                    "stage": one.stage.name,
                    "key": one.stage.key,
                    "status": one.status,
                    "note": one.note,
                    "log": str(one.log) if one.log else None,
                    "samples": one.total,
                    "matching": len(one.matching),
                    "without value": one.without,
                    "shown": [as_json(sample) for sample in one.read(most)],
                }
                for one in found
            ]
            self._say(dumps(body, ensure_ascii=False))
        else:
            for one in found:
                self._print(one, where, most)
        return 0 if any(one.matching for one in found) else 1

    def _print(self, one: Transcripts, where: str, most: int) -> None:
        from motools_build.report.results import console_of
        from motools_build.report.samples import print_sample

        console = console_of(self.outstream)
        if one.log is None:
            console.print(f"{one.status:8} {one.stage.name}: {one.note}")
            return
        note = f": {one.note}" if one.note else ""
        console.print(f"{one.status:8} {one.stage.name}{note}")
        for sample in one.read(most):
            print_sample(sample, console)
        count = len(one.matching)
        said = f"{min(most, count)} of {count} samples shown"
        if where:
            said = f"{count} of {one.total} samples match {where}"
            said += f"; {min(most, count)} shown" if count > most else ""
        if one.without:
            said += f"; {one.without} have no value, and match no comparison"
        more = f" (all: -n {count})" if count > most else ""
        console.print(
            f"\n{said}{more}; in full: inspect view --log-dir {one.log.parent}"
        )
