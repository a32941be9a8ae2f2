"""A command line as this package runs it: doit's, with our commands.

doit reads its plugins from pyproject.toml before it makes its loader. If each of our
commands were a line there, each new one would be a line to add to every user's project.
So the one line is the loader's; and when doit asks for a loader, we take the command
line over, with a `DoitMain` of our own that knows all commands.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from doit.doit_cmd import DoitMain
from doit.plugin import PluginDict, PluginEntry

from motools_build.doit_host.loading import Loader
from motools_build.doit_host.terminal import guard

COMMANDS = {
    "new": "new:New",
    "run": "commands:Run",
    "clean": "commands:Clean",
    "forget": "commands:Forget",
    "ignore": "commands:Ignore",
    "results": "queries:Results",
    "plan": "queries:Plan",
    "why": "queries:Why",
    "status": "queries:Status",
    "samples": "samples:Samples",
    "datasets": "datasets:Datasets",
    "gc": "upkeep:Gc",
    "verify": "upkeep:Verify",
    "jobs": "paying:Jobs",
    "cancel": "paying:Cancel",
    "retry": "paying:Retry",
    "adopt": "paying:Adopt",
    "spent": "spent:Spent",
}
"""Name -> module and class, below `motools_build.doit_host`; imported when it is used.
This is where a command is registered."""

PACKAGE = "motools_build.doit_host"

PLUGINS = {
    "BACKEND": {"motools": f"{PACKAGE}.dependencies:StoreBackend"},
    "REPORTER": {"motools": f"{PACKAGE}.reporter:Reporter"},
}
"""doit's other plugins, by their kind; the loader's DOIT_CONFIG chooses them."""

EMPTY = "\0"
"""Stands for an empty word while doit looks at the first character of each; no command
line can hold it."""


class Main(DoitMain):  # type: ignore[misc]
    """doit's command line for the project in the working directory."""

    def __init__(self, loader: Loader) -> None:
        super().__init__(task_loader=loader, extra_config=PLUGINS)

    def get_cmds(self) -> PluginDict:
        """doit's commands, ours, and those that pyproject.toml or a package adds."""
        found = PluginDict({each.get_name(): each for each in self.DOIT_CMDS})
        for name, place in COMMANDS.items():
            found[name] = PluginEntry("COMMAND", name, f"{PACKAGE}.{place}")
        found.add_plugins(self.config, "COMMAND")
        self.task_loader.commands = found
        return found

    def process_args(self, words: list[str]) -> list[str]:
        """doit's own, which takes `name=value` for variables; but of an empty word it
        makes a traceback, and so it becomes one that names nothing."""
        left = super().process_args([word or EMPTY for word in words])
        return ["" if word == EMPTY else word for word in left]


def run(words: Sequence[str]) -> int:
    """What `doit WORDS` does, in this process; its exit code."""
    guard()  # before a command takes its stream
    return int(Main(Loader(ends=True)).run(list(words)) or 0)


def loader() -> NoReturn:
    """What doit calls for a loader, as pyproject.toml says: the command line of this
    process is run by us instead, and the process ends."""
    raise SystemExit(run(sys.argv[1:]))
