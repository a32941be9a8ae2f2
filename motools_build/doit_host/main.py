"""doit's command line with this package's commands.

doit reads its plugins from pyproject.toml. If each of our commands were a plugin there,
every new command would need a new line in every user's project. So a project names
only our loader as a plugin. When doit asks for that loader, we run the command line
ourselves, with a `DoitMain` that knows all commands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from typing import NoReturn

from doit import plugin
from doit.doit_cmd import DoitMain
from doit.plugin import PluginDict, PluginEntry

from motools_build.data.fetching import WEB
from motools_build.doit_host.loading import Loader
from motools_build.doit_host.terminal import guard

COMMANDS = {
    "new": "new:New",
    "run": "commands:Run",
    "clean": "commands:Clean",
    "list": "listing:List",
    "forget": "commands:Forget",
    "ignore": "commands:Ignore",
    "results": "results:Results",
    "plan": "queries:Plan",
    "why": "queries:Why",
    "history": "history:History",
    "diff": "diffing:Diff",
    "diff-data": "diff_data:DiffData",
    "status": "queries:Status",
    "accept": "accepting:Accept",
    "declare": "declaring:Declare",
    "lock": "locking:Lock",
    "power": "power:Power",
    "report": "reporting:Report",
    "plot": "reporting:Plot",
    "trace": "tracing:TraceFile",
    "bundle": "bundling:Bundle",
    "samples": "samples:Samples",
    "datasets": "datasets:Datasets",
    "fetch": "fetching:Fetch",
    "export": "export:Export",
    "gc": "upkeep:Gc",
    "verify": "upkeep:Verify",
    "push": "sharing:Push",
    "pull": "sharing:Pull",
    "share": "sharing:Share",
    "jobs": "paying:Jobs",
    "cancel": "paying:Cancel",
    "retry": "paying:Retry",
    "adopt": "paying:Adopt",
    "spent": "spent:Spent",
}
"""Command -> module and class, relative to `motools_build.doit_host`; imported when the
command is used. A new command is registered here."""

PACKAGE = "motools_build.doit_host"

PLUGINS = {
    "BACKEND": {"motools": f"{PACKAGE}.dependencies:StoreBackend"},
    "REPORTER": {
        "motools": f"{PACKAGE}.reporter:Reporter",
        "motools-json": f"{PACKAGE}.watching.events:JsonReporter",
    },
}
"""Kind -> name -> place of doit's other plugins. The loader's DOIT_CONFIG selects
them."""

EMPTY = "\0"
"""Placeholder for an empty word while doit parses the words, since doit reads the first
character of each. No command line can contain it."""


class Main(DoitMain):  # type: ignore[misc]
    """doit's command line for the project in the working directory."""

    def __init__(self, loader: Loader) -> None:
        super().__init__(task_loader=loader, extra_config=PLUGINS)

    def get_cmds(self) -> PluginDict:
        """Name -> command: doit's, ours, and those of pyproject.toml and of installed
        packages, later ones replacing earlier ones."""
        found = PluginDict({each.get_name(): each for each in self.DOIT_CMDS})
        for name, place in COMMANDS.items():
            found[name] = PluginEntry("COMMAND", name, f"{PACKAGE}.{place}")
        found.add_plugins(self.config, "COMMAND")
        self.task_loader.commands = found
        return found

    def process_args(self, words: list[str]) -> list[str]:
        """Store the `name=value` words as variables, and return the other words, web
        addresses among them. An empty word, and the `=` of an address, are replaced
        while doit parses."""
        given = (
            word.replace("=", EMPTY) if word.startswith(WEB) else word for word in words
        )
        left = super().process_args([word or EMPTY for word in given])
        return ["" if word == EMPTY else word.replace(EMPTY, "=") for word in left]


def run(words: Sequence[str]) -> int:
    """Run `doit WORDS` in this process, and return its exit code."""
    guard()  # before a command stores a reference to stdout
    with _one_search():
        return int(Main(Loader(ends=True)).run(list(words)) or 0)


@contextmanager
def _one_search() -> Iterator[None]:
    """doit searches the metadata of all installed packages once for each kind of
    plugin, which takes 15 ms or more. Meanwhile, all kinds are found by one search."""
    found = cache(entry_points)
    usual = plugin.entry_points_impl
    plugin.entry_points_impl = lambda: lambda group: found().select(group=group)
    try:
        yield
    finally:
        plugin.entry_points_impl = usual


def loader() -> NoReturn:
    """The function that pyproject.toml names as doit's loader. Instead of returning a
    loader, it runs this process's command line and exits."""
    raise SystemExit(run(sys.argv[1:]))
