"""`doit report` and `doit plot`: results as a page, stored or live, and as a figure."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.locking import OPT_LOCK, locked_words
from motools_build.doit_host.query import OPT_AT, Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.project.pages import ANSWERS, write_page, write_plot
from motools_build.project.project import Project
from motools_build.text import hints

OPT_OUT = {
    "name": "out",
    "long": "out",
    "type": str,
    "default": "",
}


class Report(Query):
    """`doit report`: writes a page of results, or serves a live one."""

    name = "report"
    doc_purpose = "write a page of results: one HTML file, without network"
    doc_usage = (
        "[SETTING...] [model=...] [seeds=...] [--out FILE] [--open] [--answers N] "
        "[--at WHEN] [--serve [--port N]]"
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
        {
            "name": "serve",
            "long": "serve",
            "type": bool,
            "default": False,
            "help": "show results and runs on a live page of this machine, till Ctrl-C",
        },
        {
            "name": "port",
            "long": "port",
            "type": int,
            "default": 0,
            "help": "the live page's port on 127.0.0.1 [default: any that is free]",
        },
        OPT_AT,
    )

    def _execute(
        self,
        out: str,
        open: bool,
        answers: int,
        serve: bool,
        port: int,
        at: str,
        pos_args: list[str],
    ) -> int:
        if answers < 0:
            raise InvalidCommand(f"--answers {answers}: write a number, 0 or more")
        session = current()
        if serve or port:
            other = out or at or answers != ANSWERS
            if not serve or other or not 0 <= port < 65536:
                raise InvalidCommand(
                    "--serve takes --open and --port N (0 to 65535), but neither --out "
                    "nor --answers nor --at; --port is for --serve alone"
                )
            names = _of_words(session.project, pos_args) or session.selected
            return self._serve(session.project, names, port, open)
        self._look_back(at, pos_args)
        self._known(pos_args)
        settings = session.selected
        path = Path(out or f"{'-'.join(settings)}.html")
        self._say(str(write_page(session.project, settings, path, answers)))
        if open:
            webbrowser.open(path.resolve().as_uri())
        return 0

    def _serve(
        self, project: Project, names: Sequence[str], port: int, open: bool
    ) -> int:
        """Serve the live page until an interrupt, which is raised."""
        from motools_build.doit_host.serving_page import PageServer
        from motools_build.project.watching import Watch

        watch = Watch(tuple(names), project.variables)
        try:
            serving = PageServer(watch, port)
        except OSError as error:
            raise InvalidCommand(
                f"port {port} of this machine cannot be used ({error.strerror}); name "
                "another, or leave --port out for any that is free"
            ) from error
        with serving as server:
            there = str(server.server_address[1])
            server.again = hints.command("report", *names, "--serve", "--port", there)
            self._say(f"{server.url}  (this machine only; Ctrl-C ends it)")
            self.outstream.flush()
            if open:  # apart, since a browser in the terminal returns at its end
                Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
            server.serve_forever()
        return 0


def _of_words(project: Project, words: Sequence[str]) -> tuple[str, ...]:
    """The settings that words mean. A broken setting is one, too: the page says what is
    wrong with it. Raises SelectionError for a word that means nothing."""
    for word in words:
        if word not in project.zoo.names:
            project.selection.chosen([word])
    return project.selection.settings_of(words)


class Plot(Query):
    """`doit plot`: writes a figure of results."""

    name = "plot"
    doc_purpose = "write a figure of results for a paper: SVG, PDF or PNG"
    doc_usage = (
        "[SETTING...] --out fig.pdf [--eval NAME,...] [--at WHEN | --from-lock] "
        "[model=...] [seeds=...]"
    )
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
        OPT_AT,
        OPT_LOCK,
    )

    def _execute(
        self, out: str, evals: str, at: str, from_lock: bool, pos_args: list[str]
    ) -> int:
        session = current()
        if not out:
            raise InvalidCommand("write doit plot SETTING --out fig.pdf")
        if at and from_lock:
            raise InvalidCommand("--at and --from-lock exclude each other")
        self._look_back(at, pos_args)
        project, settings = session.project, session.selected
        if from_lock:
            settings = locked_words(project, pos_args) or settings
        else:
            self._known(pos_args)
        chosen = [one for one in evals.split(",") if one]
        path = write_plot(project, settings, Path(out), chosen, from_lock)
        self._say(str(path))
        for line in self._as_of(session.selected):
            self._say(line)
        return 0
