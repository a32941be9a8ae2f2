"""`doit power`: how wide intervals will be with more seeds and questions."""

from __future__ import annotations

import math
from json import dumps

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.queries import Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.powering import power
from motools_build.report.until import MOST_HALF


class Power(Query):
    """`doit power`: shows the half-widths to expect."""

    name = "power"
    doc_purpose = "show how wide intervals will be with more seeds and questions"
    doc_usage = "[SETTING...] [--half=0.05] [--format table|csv|json] [model=...]"
    doc_description = (
        "Of the setting's primary contrast, or else of each metric's mean and of the "
        "difference of two groups. How much scores vary comes from the results that "
        "are there, and is assumed without. Nothing is run or asked."
    )
    needs = Needs(tasks=False, rows=False)
    cmd_options = (
        {
            "name": "half",
            "long": "half",
            "type": str,
            "default": "",
            "help": "the half-width that is wanted, as a part of the score's range: "
            "0.05",
        },
        {
            "name": "format",
            "long": "format",
            "type": str,
            "default": "table",
            "choices": (("table", ""), ("csv", ""), ("json", "")),
            "help": "table, csv or json",
        },
    )

    def _execute(self, half: str, format: str, pos_args: list[str]) -> int:
        from motools_build.report.drawing.csv import write_csv
        from motools_build.report.drawing.power import COLUMNS, power_rows, print_power

        session = current()
        wanted = _half(half)
        self._settings_alone(pos_args)
        found = [power(session.project, name) for name in session.selected]
        if format == "csv":
            write_csv(self.outstream, COLUMNS, power_rows(found))
            return 0
        for one in found:
            if format == "json":
                self._say(dumps(one.as_json(wanted), ensure_ascii=False))
            else:
                print_power(one, wanted, self.outstream)
        return 0


def _half(word: str) -> float | None:
    if not word:
        return None
    try:
        half = float(word)
    except ValueError:
        half = math.nan
    if not 0 < half <= MOST_HALF:
        raise InvalidCommand(
            f"--half={word}: write a number above 0 and at most {MOST_HALF:g}, as in "
            "--half=0.05"
        )
    return half
