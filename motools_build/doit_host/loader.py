"""doit's loader: dodo.py as always, but only the settings that the command names."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from doit.cmd_base import Command, DodoTaskLoader
from doit.exceptions import InvalidDodoFile
from doit.task import Task

from motools_build.doit_host.dependencies import StoreChecker
from motools_build.doit_host.helping import OPT_HELP
from motools_build.doit_host.tasks import tasks as make_tasks
from motools_build.doit_host.terminal import InvalidCommand, guard, of_the_system
from motools_build.errors import MotoolsError
from motools_build.project.selection import fitting, is_pattern
from motools_build.project.session import ARTIFACTS, begin, current
from motools_build.text.similar import known

OURS = {"backend": "motools", "check_file_uptodate": StoreChecker}
"""What DOIT_CONFIG cannot choose: stages would be rebuilt, or not rebuilt, wrongly."""

READS_NAMES = ("list", "info", "clean", "forget", "ignore")
"""Commands whose every argument is a task's name."""

QUERIES = (
    *("results", "samples", "plan", "why", "status", "datasets", "gc", "verify"),
    *("jobs", "cancel", "retry", "adopt", "spent"),
)
"""Commands over plans, that need no tasks."""


LOOKS = {*QUERIES, "clean"} - {"plan", "datasets"}
"""Commands that need no derived dataset to be there, if its digest is remembered."""

OF_ALL = frozenset(QUERIES) - {"results", "plan"}
"""Commands that mean no default setting where none is named."""


TELL_BROKEN = frozenset({"status", "datasets"})
"""Commands that tell what is broken beside what is not, where no setting is named."""


class Loader(DodoTaskLoader):  # type: ignore[misc]
    """Registered as `motools` in pyproject.toml's [tool.doit]."""

    cmd_options = (*DodoTaskLoader.cmd_options, OPT_HELP)

    def __init__(self) -> None:
        guard()  # before the command takes its stream
        super().__init__()

    def setup(self, opt_values: dict[str, Any]) -> None:
        from doit import doit_cmd

        self._options = opt_values
        if opt_values.get("help"):
            self._help()
        try:
            super().setup(opt_values)
        except InvalidDodoFile as error:
            if Path(opt_values["dodoFile"]).exists():
                raise
            raise InvalidDodoFile(
                f"{str(error).strip()}\n`doit new NAME` writes dodo.py, and a setting "
                "that runs"
            ) from error
        variables = dict(doit_cmd._CMDLINE_VARS or {})
        try:
            begin(variables)
        except MotoolsError as error:
            raise InvalidCommand(str(error)) from error

    def _help(self) -> NoReturn:
        """Of doit's own commands, which do not know the option; ours print theirs."""
        from doit.doit_cmd import DoitMain

        commands = DoitMain(self).get_cmds()
        words = [word for word in sys.argv[1:] if word in commands]
        name = words[0] if words else "run"
        command = commands.get_plugin(name)(
            task_loader=self, config=self.config, cmds=commands
        )
        print(command.help())
        raise SystemExit(0)

    def load_doit_config(self) -> dict[str, Any]:
        config = dict(super().load_doit_config())
        self._own_default = "default_tasks" in config
        refused = sorted(OURS.keys() & config.keys())
        if refused:
            raise InvalidCommand(
                f"dodo.py: DOIT_CONFIG sets {', '.join(refused)}, which stages do "
                "without; take it out (tasks of your own have doit's usual ones)"
            )
        # every stage that can go on does: seed 1 is not dropped because seed 0 failed
        usual: dict[str, Any] = {
            "reporter": "motools",
            "continue": True,
            "sort": "definition",  # of `doit list`: seed 2 before seed 10
            "dep_file": ".doit.db",
        }
        if current().config.default:
            usual["default_tasks"] = list(current().config.default)
        self._doit_config = {**usual, **config, **OURS}
        return self._doit_config

    def load_tasks(self, cmd: Command, pos_args: list[str]) -> list[Task]:
        if "" in pos_args:
            raise InvalidCommand("an empty word names nothing; leave it out")
        # thousands of small objects that all stay: the cyclic collector only delays
        gc.disable()
        try:
            return self._load(cmd, pos_args)
        except MotoolsError as error:
            raise InvalidCommand(str(error)) from error
        except OSError as error:
            raise of_the_system(error) from error
        except KeyboardInterrupt:
            if cmd.name in READS_NAMES:  # doit's own, which show a traceback
                raise InvalidCommand("interrupted") from None
            raise
        finally:
            gc.freeze()
            gc.enable()
            # a cycle, and frozen: at the end nobody takes all of it apart, one by one
            self._session = (self, current())

    def _load(self, cmd: Command, pos_args: list[str]) -> list[Task]:
        session = current()
        session.derive.always = cmd.name not in LOOKS
        session.derive.fetches = cmd.name == "run"
        words = [word for word in pos_args if not word.startswith("-")]
        for misnamed in session.zoo.misnamed.values():
            if cmd.name == "list":
                sys.stderr.write(f"{misnamed}\n")
            elif words or cmd.name not in TELL_BROKEN:
                raise misnamed
        if cmd.name == "list" and not words:
            session.selected = session.zoo.names
        elif words or cmd.name not in OF_ALL:
            if not words and not self._own_default:
                session.default()  # refuses a default that means nothing
            defaults = self._doit_config.get("default_tasks") or ()
            session.selected = session.settings_of(words or defaults)
        if cmd.name in QUERIES:
            return []
        session.lenient = cmd.name == "list"
        details = ("subtasks", "status", "list_deps")
        only_settings = all(word in session.zoo.names for word in words)
        session.brief = (
            cmd.name == "list"
            and only_settings
            and not any(self._options.get(option) for option in details)
        )
        session.prune = (
            cmd.name == "run" and only_settings and not self._options.get("always")
        )
        tasks = super().load_tasks(cmd, pos_args)
        tasks = self._with_references(tasks)
        stages = {**session.stages, **session.aliases}
        found = [session.names_of(word, stages) for word in pos_args]
        pos_args[:] = [name for names in found for name in names]  # doit's own list
        _check_patterns(cmd.name, pos_args, tasks)
        _check_unique(tasks)
        if cmd.name in READS_NAMES:
            _check_names([w for w in pos_args if not w.startswith("-")], tasks)
        session.memo.save()
        return list(tasks)

    def _with_references(self, tasks: list[Task]) -> list[Task]:
        """Add the settings that the user's own tasks refer to."""
        session = current()
        if session.brief:
            return tasks
        there = {task.name for task in tasks}
        missing: list[str] = []
        for task in tasks:
            if task.name in session.stages or task.name in session.groups:
                continue
            names = [*task.task_dep, *task.setup_tasks, *task.calc_dep]
            missing += [name for name in names if name not in there]
            if any(_is_artifact(path) for path in task.file_dep):
                missing += session.zoo.names
        needed = session.settings_of(dict.fromkeys(missing))
        if not needed:
            return tasks
        kept = [task for task in tasks if task.name not in needed]
        have = {task.name for task in kept}
        added = make_tasks(session, needed, prune=False)
        return kept + [task for task in added if task.name not in have]


def _is_artifact(path: str) -> bool:
    return str(path).startswith(f"{ARTIFACTS}/")


def _check_patterns(command: str, words: list[str], tasks: Iterable[Task]) -> None:
    """Raises InvalidCommand for a pattern that fits nothing. Where doit itself takes
    no patterns, they become the names that they fit."""
    names = [task.name for task in tasks]
    for place, word in reversed(list(enumerate(words))):
        if word.startswith("-") or not is_pattern(word):
            continue
        found = fitting(word, names)
        if not found:
            raise not_found(word, names)
        if command in READS_NAMES:
            words[place : place + 1] = found


def _check_names(words: Iterable[str], tasks: Iterable[Task]) -> None:
    names = {task.name for task in tasks}
    for word in words:
        if "*" not in word and word not in names:
            raise not_found(word, names)


def _check_unique(tasks: Iterable[Task]) -> None:
    """Raises InvalidDodoFile where a user's own task is called like a setting."""
    seen: set[str] = set()
    for task in tasks:
        if task.name in seen and task.name in current().groups:
            raise InvalidDodoFile(
                f"dodo.py has a task {task.name!r}, as zoo/{task.name}.py is called; "
                "rename one of them"
            )
        seen.add(task.name)


def not_found(word: str, names: Iterable[str]) -> InvalidCommand:
    """The error for a word that names nothing, with the names there are."""
    session = current()
    groups = {name for name in names if ":" not in name} | set(session.zoo.names)
    stages = {name for name in names if ":" in name}
    if ":" in word and stages:
        return InvalidCommand(
            f"no stage is called {word!r}; {known(word, stages)}"
            if len(stages) <= 20
            else f"no stage is called {word!r}; `doit list --all` shows all"
        )
    return InvalidCommand(
        f"no setting or task is called {word!r}; {known(word, groups)}"
    )
