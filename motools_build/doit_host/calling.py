"""Calling `doit run` from Python."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from doit import doit_cmd
from doit.exceptions import InvalidCommand, InvalidDodoFile, InvalidTask

from motools_build.doit_host import session
from motools_build.doit_host.commands import Run
from motools_build.doit_host.loading import Loader
from motools_build.doit_host.main import Main
from motools_build.doit_host.runner import AsyncRunner
from motools_build.errors import InputError, MotoolsError, RunFailed
from motools_build.pyproject import PYPROJECT, document


class Call:
    """One run of the project in the working directory, as the command does it: with
    dodo.py, its options and tasks, and the reporter's lines on standard output."""

    def __init__(self) -> None:
        self._command: Run | None = None
        self._ends = False

    def run(self, words: Sequence[str], variables: Mapping[str, str]) -> AsyncRunner:
        """Run, and return the runner, which knows what was made.

        Raises RunFailed if something failed, KeyboardInterrupt if `end` was called, and
        for wrong input the error that the command would print.
        """
        command = self._command = _command()
        if self._ends:
            command.end()
        before, doit_cmd._CMDLINE_VARS = doit_cmd._CMDLINE_VARS, dict(variables)
        try:
            params, _ = command.cmdparser.parse([])
            params["outfile"] = sys.stdout
            command.execute(params, [*words])
        except (InvalidCommand, InvalidDodoFile, InvalidTask) as error:
            if isinstance(error.__cause__, MotoolsError):
                raise error.__cause__ from None
            raise InputError(str(error)) from error
        finally:
            doit_cmd._CMDLINE_VARS = before
            session.end()
        runner = command.runner
        if runner is None or runner.interrupted is not None:
            raise KeyboardInterrupt
        if runner.failures:
            raise RunFailed(runner.failures)
        return runner

    def end(self) -> None:
        """End the run, from another thread: what is made is kept."""
        self._ends = True
        if self._command is not None:
            self._command.end()


def _command() -> Run:
    document(Path(PYPROJECT))  # raises a plain error; doit would show a traceback
    main = Main(Loader())
    commands = main.get_cmds()
    main.task_loader.config = main.config
    main.task_loader.cmd_names = sorted(commands)
    command = commands.get_plugin("run")(
        task_loader=main.task_loader, config=main.config, cmds=commands
    )
    if not isinstance(command, Run):
        raise InputError(f"{PYPROJECT} has a `run` command of its own; take it out")
    return command
