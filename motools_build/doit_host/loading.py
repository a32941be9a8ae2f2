"""doit's loader: loads dodo.py as usual, and only the settings that a command needs."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from doit.cmd_base import Command, DodoTaskLoader
from doit.exceptions import InvalidDodoFile
from doit.plugin import PluginDict
from doit.task import Task

from motools_build.doit_host.dependencies import StoreChecker
from motools_build.doit_host.helping import OPT_HELP, Needs
from motools_build.doit_host.session import begin, current
from motools_build.doit_host.tasks import tasks as make_tasks
from motools_build.doit_host.terminal import InvalidCommand, of_the_system
from motools_build.errors import MotoolsError
from motools_build.project.project import ARTIFACTS
from motools_build.project.selection import fitting, is_pattern
from motools_build.text.similar import known

OURS = {"backend": "motools", "check_file_uptodate": StoreChecker}
"""Options that DOIT_CONFIG must not set: with others, doit would rebuild stages that
are up to date, or skip stale ones."""

OF_DOITS = {"list": Needs(only_names=True), "info": Needs(only_names=True)}
"""The needs of doit's own commands that differ from the defaults of `Needs`."""


class Loader(DodoTaskLoader):  # type: ignore[misc]
    """Loads dodo.py, whose `zoo_tasks()` yields the tasks of the settings.

    `ends` says whether the process ends with the command; if so, the objects of a plan
    are never garbage-collected, which saves time.
    """

    cmd_options = (*DodoTaskLoader.cmd_options, OPT_HELP)
    commands = PluginDict()
    """Name -> command, to print a command's help."""

    def __init__(self, ends: bool = False) -> None:
        super().__init__()
        self.ends = ends

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
        """Print the help of the command on the command line, and exit. doit's own
        commands do not know `--help`."""
        words = [word for word in sys.argv[1:] if word in self.commands]
        name = words[0] if words else "run"
        command = self.commands.get_plugin(name)(
            task_loader=self, config=self.config, cmds=self.commands
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
        # by default, seed 1 goes on although seed 0 failed
        usual: dict[str, Any] = {
            "reporter": "motools",
            "continue": True,
            "sort": "definition",  # `doit list` shows seed 2 before seed 10
            "dep_file": ".doit.db",
        }
        if current().project.config.default:
            usual["default_tasks"] = list(current().project.config.default)
        self._doit_config = {**usual, **config, **OURS}
        return self._doit_config

    def load_tasks(self, cmd: Command, pos_args: list[str]) -> list[Task]:
        if "" in pos_args:
            raise InvalidCommand("an empty word names nothing; leave it out")
        needs = _needs_of(cmd)
        try:
            with self._uncollected():
                return self._load(cmd, needs, pos_args)
        except MotoolsError as error:
            raise InvalidCommand(str(error)) from error
        except OSError as error:
            raise of_the_system(error) from error
        except KeyboardInterrupt:
            if needs.only_names:  # doit's own commands would show a traceback
                raise InvalidCommand("interrupted") from None
            raise

    @contextmanager
    def _uncollected(self) -> Iterator[None]:
        """Disable Python's cyclic garbage collector while tasks are made: a plan is
        thousands of small objects that all stay alive, so it would find nothing."""
        gc.disable()
        try:
            yield
        finally:
            if self.ends:
                gc.freeze()
                # what comes after the plan is not searched for garbage at exit either
                atexit.register(gc.freeze)
                # a reference cycle that is frozen is not freed object by object at exit
                self._session = (self, current())
            gc.enable()

    def _load(self, cmd: Command, needs: Needs, pos_args: list[str]) -> list[Task]:
        session = current()
        session.project.derive.always = needs.rows
        session.project.derive.fetches = cmd.name == "run"
        session.pulls = cmd.name == "run" and not self._options.get("always")
        words = [word for word in pos_args if not word.startswith("-")]
        for misnamed in session.project.zoo.misnamed.values():
            if cmd.name == "list":
                sys.stderr.write(f"{misnamed}\n")
            elif words or not needs.tells_broken:
                raise misnamed
        if cmd.name == "list" and not words:
            session.selected = session.project.zoo.names
        elif words or needs.default:
            if not words and not self._own_default:
                session.project.default()  # raises if the default is wrong or missing
            defaults = self._doit_config.get("default_tasks") or ()
            session.selected = session.project.selection.settings_of(words or defaults)
        if not needs.tasks:
            return []
        session.lenient = cmd.name == "list"
        details = ("subtasks", "status", "list_deps")
        only_settings = all(word in session.project.zoo.names for word in words)
        session.brief = (
            cmd.name == "list"
            and only_settings
            and not any(self._options.get(option) for option in details)
        )
        if cmd.name == "list" and self._options.get("status"):
            from motools_build.report.status import Statuses

            session.statuses = Statuses(session.project.store)
        session.prune = (
            cmd.name == "run" and only_settings and not self._options.get("always")
        )
        tasks = super().load_tasks(cmd, pos_args)
        tasks = self._with_references(tasks)
        stages = {**session.stages, **session.aliases}
        found = [session.project.selection.names_of(word, stages) for word in pos_args]
        pos_args[:] = [name for names in found for name in names]  # doit's own list
        _check_patterns(needs, pos_args, tasks)
        _check_unique(tasks)
        if needs.only_names:
            _check_names([w for w in pos_args if not w.startswith("-")], tasks)
        session.project.memo.save()
        return list(tasks)

    def _with_references(self, tasks: list[Task]) -> list[Task]:
        """The tasks, with those of the settings that the user's own tasks refer to."""
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
                missing += session.project.zoo.names
        needed = session.project.selection.settings_of(dict.fromkeys(missing))
        if not needed:
            return tasks
        kept = [task for task in tasks if task.name not in needed]
        have = {task.name for task in kept}
        added = make_tasks(session, needed, prune=False)
        return kept + [task for task in added if task.name not in have]


def _needs_of(command: Command) -> Needs:
    needs: Needs = getattr(command, "needs", OF_DOITS.get(command.name, Needs()))
    return needs


def _is_artifact(path: str) -> bool:
    return str(path).startswith(f"{ARTIFACTS}/")


def _check_patterns(needs: Needs, words: list[str], tasks: Iterable[Task]) -> None:
    """Raises InvalidCommand for a pattern that matches no task. With `only_names`,
    replaces each pattern in `words` by the names that it matches."""
    names = [task.name for task in tasks]
    for place, word in reversed(list(enumerate(words))):
        if word.startswith("-") or not is_pattern(word):
            continue
        found = fitting(word, names)
        if not found:
            raise not_found(word, names)
        if needs.only_names:
            words[place : place + 1] = found


def _check_names(words: Iterable[str], tasks: Iterable[Task]) -> None:
    names = {task.name for task in tasks}
    for word in words:
        if "*" not in word and word not in names:
            raise not_found(word, names)


def _check_unique(tasks: Iterable[Task]) -> None:
    """Raises InvalidDodoFile if a user's own task has the name of a setting."""
    seen: set[str] = set()
    for task in tasks:
        if task.name in seen and task.name in current().groups:
            raise InvalidDodoFile(
                f"dodo.py has a task {task.name!r}, as zoo/{task.name}.py is called; "
                "rename one of them"
            )
        seen.add(task.name)


def not_found(word: str, names: Iterable[str]) -> InvalidCommand:
    """The error for a word that names no setting, stage or task; it lists the existing
    names."""
    settings = current().project.zoo.names
    groups = {name for name in names if ":" not in name} | {*settings}
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
