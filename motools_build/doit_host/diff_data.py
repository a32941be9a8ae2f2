"""`doit diff-data`: the rows in which two files differ."""

from __future__ import annotations

from json import dumps
from typing import Any

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.query import OPT_JSON, Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.sides import Side, Sides
from motools_build.report.drawing.changes import counted, row_lines
from motools_build.report.file_changes import row_changes
from motools_build.text import hints

MOST = 20


class DiffData(Query):
    """`doit diff-data A B`: shows which rows of two files differ."""

    name = "diff-data"
    doc_purpose = "show which rows of two datasets differ, and in which words"
    doc_usage = "A B [-n 20]"
    doc_description = (
        "A and B are each a file, FILE@WHEN (a run's ID, a date, or a git commit), "
        "eight or more digits of a digest, a stage or its key, or SETTING/DATASET; a "
        "stage and a dataset may have @WHEN, too."
    )
    needs = Needs(tasks=False, default=False, rows=False)
    cmd_options: tuple[dict[str, Any], ...] = (
        OPT_JSON,
        {
            "name": "most",
            "short": "n",
            "type": int,
            "default": MOST,
            "help": "rows that differ, at most [default: %(default)s]",
        },
    )

    def _execute(self, json: bool, most: int, pos_args: list[str]) -> int:
        if most < 0:
            raise InvalidCommand(f"-n {most}: write a number of rows, 0 or more")
        if len(pos_args) != 2:
            raise InvalidCommand(
                "write doit diff-data A B: two files, digests or stages"
            )
        with Sides(current().project) as sides:
            old, new = (sides.of(word) for word in pos_args)
            found = row_changes(old.file, new.file, most)
        if json:
            body = {"old": old.as_json(), "new": new.as_json(), **found.as_json()}
            self._say(dumps(body, ensure_ascii=False))
            return 0
        for side, mark in ((old, "-"), (new, "+")):
            self._say(f"{mark * 3} {_named(side)}")
        self._say(counted(found.counts))
        every = str(found.left_out + len(found.shown))
        again = hints.command(self.name, *pos_args, "-n", every)
        for line in row_lines(found, again):
            self._say(line)
        return 0


def _named(side: Side) -> str:
    """A side in words: its file, digest and moment."""
    parts = [side.name, side.digest[:8]]
    if side.about:
        parts.append(side.about)
    return "  ".join(parts)
