"""`doit report` and `doit plot`: results as a page and as a figure."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.queries import Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.pages import ANSWERS, write_page, write_plot

OPT_OUT = {
    "name": "out",
    "long": "out",
    "type": str,
    "default": "",
}


class Report(Query):
    """`doit report`: writes a page of results."""

    name = "report"
    doc_purpose = "write a page of results: one HTML file, without network"
    doc_usage = (
        "[SETTING...] [model=...] [seeds=...] [--out FILE] [--open] [--answers N]"
    )
    needs = Needs(tasks=False, rows=False)
    cmd_options = (
        {**OPT_OUT, "help": "the file to write [default: SETTING.html]"},
        {
            "name": "open",
            "long": "open",
            "type": bool,
            "default": False,
            "help": "show the page in the browser",
        },
        {
            "name": "answers",
            "long": "answers",
            "type": int,
            "default": ANSWERS,
            "help": "answers of each eval, at most [default: %(default)s]",
        },
    )

    def _execute(self, out: str, open: bool, answers: int, pos_args: list[str]) -> int:
        if answers < 0:
            raise InvalidCommand(f"--answers {answers}: write a number, 0 or more")
        session = current()
        for name in pos_args:
            session.project.selection.chosen([name])  # raises for an unknown name
        settings = session.selected
        path = Path(out or f"{'-'.join(settings)}.html")
        self._say(str(write_page(session.project, settings, path, answers)))
        if open:
            webbrowser.open(path.resolve().as_uri())
        return 0


class Plot(Query):
    """`doit plot`: writes a figure of results."""

    name = "plot"
    doc_purpose = "write a figure of results for a paper: SVG, PDF or PNG"
    doc_usage = "[SETTING...] --out fig.pdf [--eval NAME,...] [model=...] [seeds=...]"
    needs = Needs(tasks=False, rows=False)
    cmd_options = (
        {**OPT_OUT, "help": "the file to write; it ends in .pdf, .png or .svg"},
        {
            "name": "evals",
            "long": "eval",
            "type": str,
            "default": "",
            "help": "only these evals, with commas between them",
        },
    )

    def _execute(self, out: str, evals: str, pos_args: list[str]) -> int:
        session = current()
        if not out:
            raise InvalidCommand("write doit plot SETTING --out fig.pdf")
        for name in pos_args:
            session.project.selection.chosen([name])  # raises for an unknown name
        chosen = [one for one in evals.split(",") if one]
        path = write_plot(session.project, session.selected, Path(out), chosen)
        self._say(str(path))
        return 0
