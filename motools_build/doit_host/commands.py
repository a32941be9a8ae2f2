"""doit's commands, where stages ask for more than doit does."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from doit import cmd_run, exceptions
from doit.cmd_clean import Clean as DoitClean
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.task import Task

from motools_build.doit_host.helping import OF_A_RUN, Helped
from motools_build.doit_host.loader import not_found
from motools_build.doit_host.log import logged
from motools_build.doit_host.runner import AsyncRunner
from motools_build.doit_host.terminal import InvalidCommand, of_the_system
from motools_build.errors import MotoolsError
from motools_build.project.checks import check_datasets
from motools_build.project.remote import ask_calendar, check_keys, payers
from motools_build.project.session import Session, current
from motools_build.stages import Stage
from motools_build.store.state import UNFINISHED
from motools_build.text.visible import shown


class Run(Helped, cmd_run.Run):  # type: ignore[misc]
    """`doit run`: doit's command line, our runner."""

    name = "run"
    variables = OF_A_RUN
    doc_purpose = "make what is stale (also: plain `doit`)"
    doc_usage = "[SETTING|STAGE|PATTERN|KEY|JOB|tag:NAME|TASK...] [model=...]"

    def execute(self, params: Any, args: list[str]) -> int:
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
        except KeyboardInterrupt:  # while planning: nothing was started
            return 130

    def _execute(  # the names are doit's: it calls by keyword
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
    ) -> int:
        session = current()
        try:
            session.derive.fetch(
                s for s in session.stages.values() if session.store.why_stale(s)
            )
            for note in session.derive.told:
                outfile.write(f"{note}\n")
            check_datasets(session)
            # refuse what is no time, and no launcher, before anything runs
            session.settle, session.launcher  # noqa: B018
            stale = [s for s in session.stages.values() if session.store.why_stale(s)]
            check_keys(stale)
            for account in payers(stale):
                outfile.write(shown(f"paid to {account}\n"))
            calendar(session, stale, outfile)
            session.note_run()
        except MotoolsError as error:
            raise InvalidCommand(str(error)) from error
        except OSError as error:
            raise InvalidCommand(
                f"artifacts/ cannot be written ({error}); nothing was run: free some "
                "space, or mend its permissions"
            ) from error
        runners: list[AsyncRunner] = []

        def runner(*args: Any) -> AsyncRunner:
            workers = num_process or session.config.workers
            runners.append(AsyncRunner(session, workers, *args))
            return runners[0]

        usual, cmd_run.Runner = cmd_run.Runner, runner
        try:
            with _under_way(session) if session.stages else nullcontext():
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
        except exceptions.InvalidCommand as error:
            if error.not_found is None:
                raise
            names = {task.name for task in self.task_list}
            raise not_found(error.not_found, names) from error
        except MotoolsError as error:
            raise InvalidCommand(str(error)) from error
        except OSError as error:
            raise of_the_system(error) from error
        finally:
            cmd_run.Runner = usual
        session.memo.save()
        interrupted = runners[0].interrupted
        if interrupted is None:
            return int(result)
        self._leave(128 + interrupted)
        return 128 + interrupted

    def _leave(self, code: int) -> None:
        """End now if a user's own task still runs in its thread: Python would wait for
        it, and whoever pressed Ctrl-C will not."""
        if any(t.name.startswith("task") for t in threading.enumerate()):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def calendar(session: Session, stages: list[Stage], outfile: Any) -> None:
    """Which models end, when, and what is to be run before. A provider is asked where
    one is paid, once a day."""
    accounts = payers(stages)
    if not accounts:
        return
    from motools_build.report.calendar import endings

    told: list[Any] = asyncio.run(ask_calendar(session, accounts))
    for line in (*told, *endings(stages, session.store, session.shutdowns)):
        outfile.write(f"{line}\n")


class Clean(Helped, DoitClean):  # type: ignore[misc]
    """`doit clean`: a setting's artifacts, but for those that others use."""

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
                stages.update((s.name, s) for s in session.plan(task.name).stages)
            else:
                users_own.append(task)
        cleaned = {stage.setting for stage in stages.values()}
        try:
            used = session.users_of_keys(besides=cleaned)
        except MotoolsError as error:
            raise InvalidCommand(
                f"nothing was removed, as it cannot be told what other settings use: "
                f"{error}"
            ) from error
        try:
            with nullcontext() if dryrun else session.store.live.removing():
                self._clean_stages(session, stages.values(), used, dryrun)
        except MotoolsError as error:
            raise InvalidCommand(str(error)) from error
        except OSError as error:
            raise of_the_system(error) from error
        super().clean_tasks(users_own, dryrun, cleanforget)

    def _clean_stages(
        self,
        session: Session,
        stages: Iterable[Stage],
        used: Mapping[str, str],
        dryrun: bool,
    ) -> None:
        locks, live = session.store.locks, session.store.live.keys()
        for stage in stages:
            if stage.key in used:
                line = f"kept {stage.name}: {used[stage.key]} uses it"
            elif _unfinished(session, stage):
                line = f"kept {stage.name}: its job is not finished (doit jobs)"
            elif locks.taken(stage.key):
                line = f"kept {stage.name}: a run is making it"
            elif stage.key in live:
                line = f"kept {stage.name}: a run is using it"
            elif not session.store.holds(stage):
                continue
            elif dryrun:
                line = f"would remove {stage.name}"
            elif not locks.take(stage.key):
                line = f"kept {stage.name}: a run is making it"
            else:
                try:
                    session.store.remove(stage)
                finally:
                    locks.drop(stage.key)
                line = f"removed {stage.name}"
            self.outstream.write(shown(line) + "\n")


@contextmanager
def _under_way(session: Session) -> Iterator[None]:
    """A run that has something to do: it is logged, and what it uses is kept."""
    stages = session.stages.values()
    with logged(session), session.store.live.using(stages):
        for stage in stages:  # what a gc removed until now is to be made again
            session.store.forget(stage)
        yield


def _unfinished(session: Session, stage: Stage) -> bool:
    """Whether there is nothing of the stage but an intent, or a job under way."""
    if not stage.at_provider or session.store.folder(stage).exists():
        return False
    paid = session.store.states.paid(stage.key)
    return paid is not None and paid.phase in UNFINISHED


class Forget(DoitForget):  # type: ignore[misc]
    """`doit forget`: of the user's own tasks; stages have nothing to forget."""

    doc_purpose = "forget that tasks of your own were done"
    sel_tasks: list[str] | None

    def _execute(
        self, forget_sub: bool, forget_disable_default: bool, forget_all: bool
    ) -> None:
        session = current()
        selected: list[str] = list(self.sel_tasks or ())
        ours = {*session.stages, *session.aliases, *session.groups}
        if ours.intersection(selected):
            self.outstream.write(
                "nothing to forget: a stage is up to date when its artifact is there; "
                "`doit clean` removes artifacts\n"
            )
            self.sel_tasks = [name for name in selected if name not in ours]
            if not self.sel_tasks and not forget_all:
                return
        super()._execute(forget_sub, forget_disable_default, forget_all)


class Ignore(DoitIgnore):  # type: ignore[misc]
    """`doit ignore`: for the user's own tasks."""

    doc_purpose = "never run these tasks of your own"

    def _execute(self, pos_args: list[str]) -> None:
        session = current()
        ours = {*session.stages, *session.aliases, *session.groups}
        refused = [name for name in pos_args if name in ours]
        if refused:
            raise InvalidCommand(
                f"{refused[0]} cannot be ignored: what a setting declares is made; "
                "take it out of the setting"
            )
        super()._execute(pos_args)
