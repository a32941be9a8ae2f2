"""doit's own commands, changed where stages need it: run, clean, forget, ignore."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from doit import cmd_run, exceptions
from doit.cmd_clean import Clean as DoitClean
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.task import Task

from motools_build.doit_host.helping import OF_A_RUN, Helped, Needs
from motools_build.doit_host.loading import not_found
from motools_build.doit_host.log import logged
from motools_build.doit_host.runner import AsyncRunner
from motools_build.doit_host.session import Session, current
from motools_build.doit_host.terminal import InvalidCommand, of_the_system
from motools_build.doit_host.watching.asked_for import asked_for
from motools_build.errors import MotoolsError
from motools_build.project.cleaning import clean
from motools_build.project.preparing import prepare
from motools_build.stages import Stage
from motools_build.text.visible import shown

EVENTS = "--json"

OPT_EVENTS = {
    "name": "json",
    "long": EVENTS.removeprefix("--"),
    "type": bool,
    "default": False,
    "help": "a JSON object a line for each event (docs/reference/events.md)",
}


class Run(Helped, cmd_run.Run):  # type: ignore[misc]
    """`doit run`: doit's command line with this package's runner."""

    name = "run"
    variables = OF_A_RUN
    doc_purpose = "make what is stale (also: plain `doit`)"
    doc_usage = "[SETTING|STAGE|PATTERN|KEY|JOB|tag:NAME|TASK...] [model=...]"
    cmd_options = (*cmd_run.Run.cmd_options, OPT_EVENTS)
    runner: AsyncRunner | None = None
    """The runner of the last execution, which knows what failed; None before."""
    _ends = False

    def parse_execute(self, words: list[str]) -> Any:
        """Take `--json` also after names, as other commands do; doit would take it for
        an option of a task."""
        if EVENTS in words:
            words = [EVENTS, *(word for word in words if word != EVENTS)]
        return super().parse_execute(words)

    def _say(self, line: str) -> None:
        self.told.write(shown(line) + "\n")

    def _say_lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._say(line)

    def execute(self, params: Any, args: list[str]) -> int:
        # a file given with -o gets the reporter's lines only, so ours go to the stream
        if params["json"]:
            return self._with_events(params, args)
        named = isinstance(params["outfile"], str)
        self.told = self.outstream if named else params["outfile"]
        return self._executed(params, args)

    def _with_events(self, params: Any, args: list[str]) -> int:
        """Execute it with events on standard output and nothing else there."""
        from motools_build.doit_host.watching.events import only_events, refused

        with only_events(self.loader.ends) as events:
            self.told = sys.stderr
            params["reporter"] = "motools-json"
            if not isinstance(params["outfile"], str):
                params["outfile"] = events
            try:
                return self._executed(params, args)
            except (exceptions.InvalidCommand, exceptions.InvalidDodoFile) as error:
                refused(events, shown(error))
                raise

    def _executed(self, params: Any, args: list[str]) -> int:
        if "par_type" in params._non_default_keys:
            raise InvalidCommand(
                "-P/--parallel-type is not for this runner: all stages run at once, "
                "on one event loop; -n N sets the number of worker processes for "
                "training and evals"
            )
        if params["num_process"] < 0:
            raise InvalidCommand("-n takes a number of worker processes, 1 or more")
        try:
            return int(super().execute(params, args))
        except KeyboardInterrupt:  # only while planning, so nothing was started
            return 130

    def _execute(  # doit chooses the names, as it calls by keyword
        self,
        outfile: Any,
        verbosity: int | None = None,
        always: bool = False,
        continue_: bool = False,
        reporter: Any = "motools",
        num_process: int = 0,
        single: bool = False,
        auto_delayed_regex: bool = False,
        force_verbosity: bool = False,
        failure_verbosity: int = 0,
        pdb: bool = False,
        json: bool = False,
    ) -> int:
        session = current()
        with _told():
            if "until" in session.project.variables:
                from motools_build.doit_host.until import check

                check(session, self.sel_tasks, always=always, single=single)
            if session.stages:  # a no-op asks for nothing
                session.listeners = [*asked_for(session.project)]
            prepare(session.project, session.stages.values(), self._say, always)
            self._say_lines(session.shared.began() if session.shared else ())
        with _told(), self._our_runner(session, num_process), _under_way(session):
            result = super()._execute(
                outfile,
                verbosity=verbosity,
                always=always,
                continue_=continue_,
                reporter=reporter,
                single=single,
                auto_delayed_regex=auto_delayed_regex,
                force_verbosity=force_verbosity,
                failure_verbosity=failure_verbosity,
                pdb=pdb,
            )
        session.project.memo.save()
        self._say_lines(session.shared.told() if session.shared else ())
        assert self.runner is not None
        if self.runner.interrupted is None:
            return int(result)
        self._leave(128 + self.runner.interrupted)
        return 128 + self.runner.interrupted

    @contextmanager
    def _our_runner(self, session: Session, workers: int) -> Iterator[None]:
        """Replace `doit.cmd_run.Runner` by our runner during a run.

        doit's run command takes the runner from this name in its module, and has no
        other way to be given one. The name is global, so a process must not have two
        runs at a time (`motools_build.open_project` makes calls wait).
        """

        kind = AsyncRunner
        if "until" in session.project.variables:
            from motools_build.doit_host.until import UntilRunner as kind

        def runner(*args: Any) -> AsyncRunner:
            count = workers or session.project.config.workers
            self.runner = kind(session, count, *args)
            if self._ends:
                self.runner.end()
            return self.runner

        usual, cmd_run.Runner = cmd_run.Runner, runner
        try:
            yield
        except exceptions.InvalidCommand as error:
            if error.not_found is None:
                raise
            names = {task.name for task in self.task_list}
            raise not_found(error.not_found, names) from error
        finally:
            cmd_run.Runner = usual

    def end(self) -> None:
        """End the run, from another thread: at once, or when it begins."""
        self._ends = True
        if self.runner is not None:
            self.runner.end()

    def _leave(self, code: int) -> None:
        """Exit the process at once if a user's own task still runs in its thread,
        because Python would wait for the thread after Ctrl-C. If the process lives on
        after the command, the task runs to its end."""
        names = [thread.name for thread in threading.enumerate()]
        if self.loader.ends and any(name.startswith("task") for name in names):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


class Clean(Helped, DoitClean):  # type: ignore[misc]
    """`doit clean`: removes a setting's artifacts that no other setting uses."""

    needs = Needs(rows=False, only_names=True)
    doc_purpose = "remove artifacts that no other setting uses"
    doc_usage = "[SETTING|STAGE|TASK...]"
    doc_description = (
        "Without names, the default setting. What another setting uses is kept, and so "
        "are downloaded base models. Tasks of your own are cleaned as doit does."
    )

    def clean_tasks(self, tasks: list[Task], dryrun: bool, cleanforget: bool) -> None:
        session = current()
        stages: dict[str, Stage] = {}
        users_own = []
        for task in tasks:
            stage = session.stages.get(task.name) or session.aliases.get(task.name)
            if stage:
                stages[stage.name] = stage
            elif task.name in session.groups:
                plan = session.project.plan(task.name)
                stages.update((stage.name, stage) for stage in plan.stages)
            else:
                users_own.append(task)
        told = 0
        with _told():
            for line in clean(session.project, list(stages.values()), dryrun):
                self.outstream.write(shown(line) + "\n")
                told += 1
        if stages and not told:
            self.outstream.write("nothing to remove\n")
        super().clean_tasks(users_own, dryrun, cleanforget)


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors into doit's InvalidCommand, which doit prints without a traceback."""
    try:
        yield
    except MotoolsError as error:
        raise InvalidCommand(str(error)) from error
    except OSError as error:
        raise of_the_system(error) from error


@contextmanager
def _under_way(session: Session) -> Iterator[None]:
    """Log a run and mark its stages as in use, so that gc and clean keep artifacts.
    Without stages nothing is done: a no-op run must cost nothing."""
    if not session.stages:
        yield
        return
    stages, store = session.stages.values(), session.project.store
    using = store.live.using(session.used(), store.keys_of)
    with logged(session), using as session.place:
        for stage in stages:  # a gc may have removed artifacts since they were read
            store.forget(stage)
        yield


class Forget(DoitForget):  # type: ignore[misc]
    """`doit forget` for the user's own tasks. Stages have no state that doit could
    forget."""

    needs = Needs(only_names=True)
    doc_purpose = "forget that tasks of your own were done"
    sel_tasks: list[str] | None

    def _execute(
        self, forget_sub: bool, forget_disable_default: bool, forget_all: bool
    ) -> None:
        session = current()
        selected: list[str] = list(self.sel_tasks or ())
        ours = {name for name in selected if session.is_ours(name)}
        if ours:
            self.outstream.write(
                "nothing to forget: a stage is up to date when its artifact is there; "
                "`doit clean` removes artifacts\n"
            )
            self.sel_tasks = [name for name in selected if name not in ours]
            if not self.sel_tasks and not forget_all:
                return
        super()._execute(forget_sub, forget_disable_default, forget_all)


class Ignore(DoitIgnore):  # type: ignore[misc]
    """`doit ignore` for the user's own tasks. Stages cannot be ignored."""

    needs = Needs(only_names=True)
    doc_purpose = "never run these tasks of your own"

    def _execute(self, pos_args: list[str]) -> None:
        session = current()
        refused = [name for name in pos_args if session.is_ours(name)]
        if refused:
            raise InvalidCommand(
                f"{refused[0]} cannot be ignored: what a setting declares is made; "
                "take it out of the setting"
            )
        super()._execute(pos_args)
