"""`doit trace`: which artifacts a figure or a page shows, and how they stand now."""

from __future__ import annotations

from json import dumps
from pathlib import Path

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.query import OPT_JSON, Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.tracing import Trace, trace

MOST = 20
"""Largest number of artifacts that are listed; `--json` has all."""


class TraceFile(Query):
    """`doit trace FILE`: says what a figure or a page shows."""

    name = "trace"
    doc_purpose = "show which artifacts a figure or a page is from (exit code 1: old)"
    doc_usage = "FILE [--json]"
    doc_description = (
        "FILE is an SVG, PNG, PDF or page that `doit plot` or `doit report` wrote; it "
        "may lie anywhere. Nothing is written, and no network is used."
    )
    cmd_options = (OPT_JSON,)
    needs = Needs(tasks=False, default=False, rows=False)

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        if len(pos_args) != 1:
            raise InvalidCommand("write doit trace FILE, such as doit trace fig.png")
        found = trace(current().project, Path(pos_args[0]))
        if json:
            self._say(dumps(found.as_json(), ensure_ascii=False))
        else:
            self._tell(pos_args[0], found)
        return 0 if found.is_current else 1

    def _tell(self, file: str, found: Trace) -> None:
        mark, count = found.mark, len(found.found)
        told = ", ".join(f"{number} {word}" for word, number in found.counts.items())
        self._say(f"{file}: {count} artifact{'s' * (count != 1)}, {told}")
        at = f", at commit {mark.commit[:7]}" if mark.commit else ""
        at += " with uncommitted changes" if mark.dirty else ""
        newest = f", the latest made {mark.newest}" if mark.newest else ""
        self._say(f"of {', '.join(mark.settings)}{newest}")
        self._say(f"written by motools_build {mark.version}{at}: {mark.command}")
        if mark.locked:
            self._say(mark.locked)
        old = [one for one in found.found if one.status != "current"]
        for one in old[:MOST]:
            self._say(f"{one.status:10} {one.stage} {one.key[:8]}: {one.why}")
        if len(old) > MOST:
            self._say(f"and {len(old) - MOST} more: --json has all")
