"""The runner: one process, one event loop, a coroutine for each running stage.

doit's dispatcher decides which task is ready: the runner sends it each finished node,
and it yields the next node, or "hold on". The user's own tasks run in a thread, one at
a time, because doit captures their output by replacing `sys.stdout`.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from doit.control import ExecNode, TaskDispatcher
from doit.exceptions import BaseFail, TaskError, TaskFailed, UnmetDependency
from doit.runner import Runner
from doit.task import Task

from motools_build.doit_host.refusing import LeftToLater, NotAsked, as_accepted
from motools_build.doit_host.session import Session
from motools_build.doit_host.tasks import needed, stage_of
from motools_build.errors import Deferred, GivenUp, MotoolsError
from motools_build.running.loads import check, checkable, remember, worth_it
from motools_build.stages import Stage

if TYPE_CHECKING:
    from motools_build.backends.job import Progress
    from motools_build.running.runtime import Runtime


TICK = 0.25
"""Seconds between two ticks of the reporter."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class AsyncRunner(Runner):  # type: ignore[misc]
    """Runs the tasks that must run. The first signal ends the run; finished work is
    kept."""

    def __init__(self, session: Session, workers: int, *args: Any) -> None:
        super().__init__(*args)
        self.session = session
        self.workers = workers
        self.interrupted: int | None = None
        """The signal that ended the run; None if none did."""
        self.made: list[str] = []
        """Names of the stages that this run made, in the order of their completion."""
        self.failures: dict[str, str] = {}
        """Name of each task that failed -> why."""
        self.deferred: dict[str, str] = {}
        """Name of each task that is left to a later run -> why."""
        self._begun: Runtime | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends = False
        self._given_up: set[str] = set()
        """Messages, already reported, about accounts whose server does not answer."""
        self._not_asked: set[str] = set()
        self._refused: dict[str, TaskFailed] = {}
        """Name -> result, of evals that cannot be loaded, of stages that are accepted
        as made under another key, and of those that only such stages need."""
        self._threads = ThreadPoolExecutor(1, "task")
        self._running: dict[asyncio.Task[BaseFail | None], ExecNode] = {}
        self._finished: deque[asyncio.Task[BaseFail | None]] = deque()
        self._ticking: asyncio.TimerHandle | None = None

    def run_tasks(self, task_dispatcher: TaskDispatcher) -> None:
        asyncio.run(self._main(task_dispatcher))

    async def _main(self, dispatcher: TaskDispatcher) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._heed_signals(self._loop)
        if self._ends:
            self._interrupt(signal.SIGINT)
        try:
            await self._check_loads(dispatcher)
            await self._dispatch(dispatcher)
        finally:
            if self._ticking is not None:
                self._ticking.cancel()
            for task in self._running:
                task.cancel()
            ours = [t for t, n in self._running.items() if stage_of(n.task)]
            if ours:  # a user's own task in its thread cannot be cancelled
                await asyncio.wait(ours)
            if self._begun is not None:
                await self._begun.close()
                self._tell("warned", self._begun.left_at_cluster())
                self._tell("duplicates", list(self._begun.payments.duplicates.values()))
            self._threads.shutdown(wait=self.interrupted is None)

    @property
    def _runtime(self) -> Runtime:
        """What stages are made with, begun at its first use. A run with nothing to do
        does not even import it. Raises InputError for wrong settings of the project."""
        if self._begun is not None:
            return self._begun
        from motools_build.project.runtime import runtime_of

        self._begun = runtime_of(
            self.session.project, self.workers, self._progress, self.always_execute
        )
        return self._begun

    def _heed_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # in a notebook, the main thread gets the signal and calls `end`
        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # under nohup, the run is to survive the terminal
            loop.add_signal_handler(number, self._interrupt, number)

    def end(self) -> None:
        """End the run from another thread, as Ctrl-C does on a terminal."""
        self._ends = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the run has ended
                self._loop.call_soon_threadsafe(self._interrupt, signal.SIGINT)

    async def _check_loads(self, dispatcher: TaskDispatcher) -> None:
        """Load the evals that are to run, if paid or long work would come before. Those
        that fail, and stages that only they need, are refused."""
        store = self.session.project.store
        stages = [s for task in needed(dispatcher) if (s := stage_of(task))]
        stages = [stage for stage in stages if not store.accepted.of(stage.key)]
        wanted = checkable(stages, store)
        if not wanted or not worth_it(stages, store):
            return
        self._begun_work()
        logs = store.root / "logs"
        checking = asyncio.ensure_future(
            check(wanted, self.session.project.memo, self._runtime.pool, logs)
        )
        checking.add_done_callback(lambda _: self._wake.set())
        await self._wake.wait()
        if self.interrupted is not None:
            checking.cancel()
            await asyncio.wait([checking])
            return
        loaded = checking.result()
        remember(loaded, wanted, store)
        self._tell("warned", loaded.warnings)
        stale = {s.key for s in stages if store.why_stale(s) is not None}
        spared = loaded.spared(stages, stale, {*dispatcher.selected_tasks})
        for stage in stages:
            if stage.key in loaded.failed:
                self._refused[stage.name] = TaskFailed(str(loaded.failed[stage.key]))
            elif stage.key in spared and stage.key in stale:
                self._refused[stage.name] = LeftToLater(spared[stage.key])

    async def _dispatch(self, dispatcher: TaskDispatcher) -> None:
        self._refused |= as_accepted(
            [stage for task in needed(dispatcher) if (stage := stage_of(task))],
            self.session.project.store,
            self.always_execute,
            dispatcher.selected_tasks,
        )
        processed: ExecNode | None = None
        while self.interrupted is None:
            node = None
            if not self._stop_running:
                try:
                    node = dispatcher.generator.send(processed)
                except StopIteration:
                    node = None
                processed = None
            if isinstance(node, ExecNode):
                processed = self._begin(node, dispatcher.tasks)
                continue
            while not self._finished and self.interrupted is None:
                if not self._running:
                    return
                self._wake.clear()
                await self._wake.wait()
            if self._finished:
                processed = self._end(self._finished.popleft())

    def select_task(self, node: ExecNode, tasks_dict: dict[str, Task]) -> bool:
        """Whether the node's task must run. Extends doit's method, which does not check
        whether setup tasks failed; refused stages do not run."""
        refused = self._refused.get(node.task.name)
        if refused is not None:
            self._handle_task_error(node, refused)
            return False
        if node.run_status == "run" and node.bad_deps:
            failed = " ".join(dep.task.name for dep in node.bad_deps)
            self._handle_task_error(node, UnmetDependency(failed))
            return False
        return bool(super().select_task(node, tasks_dict))

    def _handle_task_error(self, node: ExecNode, fail: BaseFail) -> None:
        """Handle a failure as doit does, except for stages that are left to a later run
        and stages that need them: these have not failed."""
        deferred = isinstance(fail, LeftToLater) or (
            isinstance(fail, UnmetDependency)
            and all(dep.task.name in self.deferred for dep in node.bad_deps)
        )
        if not deferred:
            if not isinstance(fail, UnmetDependency):
                self.failures[node.task.name] = _reason(fail)
            super()._handle_task_error(node, fail)
            return
        node.run_status = "failure"  # its dependents are not run
        why = str(fail.message) if isinstance(fail, LeftToLater) else ""
        self.deferred[node.task.name] = why
        quiet = {dep.task.name for dep in node.bad_deps} & self._not_asked
        if isinstance(fail, NotAsked) or quiet:
            self._not_asked.add(node.task.name)
            self._tell("not_asked", node.task)
            return
        self._tell("deferred", node.task, why)

    def _begin(self, node: ExecNode, tasks: dict[str, Task]) -> ExecNode | None:
        """Start the node's task if it must run, and return None; otherwise return the
        node, which is finished or waits for its setup tasks."""
        if not self.select_task(node, tasks):
            return node  # up to date, ignored, failed, or waiting for its setup tasks
        if not node.task.actions and not node.task.teardown:
            self.process_task_result(node, None)  # a group
            return node
        self._begun_work()
        task = asyncio.get_running_loop().create_task(self._execute(node.task))
        self._running[task] = node
        task.add_done_callback(self._done)
        return None

    def _begun_work(self) -> None:
        if self._ticking is None:  # from now on, the reporter hears ticks
            self._tell("begun")
            self._tick()

    def _tick(self) -> None:
        self._tell("tick")
        self._ticking = asyncio.get_running_loop().call_later(TICK, self._tick)

    def _done(self, task: asyncio.Task[BaseFail | None]) -> None:
        self._finished.append(task)
        self._wake.set()

    def _end(self, task: asyncio.Task[BaseFail | None]) -> ExecNode:
        node = self._running.pop(task)
        self.process_task_result(node, task.result())
        return node

    async def _execute(self, task: Task) -> BaseFail | None:
        stage = stage_of(task)
        if stage is None:
            loop = asyncio.get_running_loop()
            failure: BaseFail | None = await loop.run_in_executor(
                self._threads, self.execute_task, task
            )
            return failure
        task.executed = True
        self.reporter.execute_task(task)
        from motools_build.running.run import run_stage

        try:
            made = await run_stage(stage, self._runtime)
        except Deferred as later:
            return LeftToLater(str(later))
        except GivenUp as error:
            if str(error) in self._given_up:
                return NotAsked(str(error))
            self._given_up.add(str(error))
            return TaskFailed(str(error))
        except MotoolsError as error:
            return TaskFailed(str(error))
        except Exception as error:  # noqa: BLE001 - reported, and kept in its state
            return TaskError(f"{task.name}: {type(error).__name__}", error)
        if made:
            self.made.append(stage.name)
        else:
            self._tell("taken", task)
        return None

    def _progress(self, stage: Stage, progress: Progress) -> None:
        self._tell("progress", stage, progress)

    def _interrupt(self, number: int) -> None:
        if self.interrupted is None:
            self._tell("interrupted", [n.task.name for n in self._running.values()])
        self.interrupted = number
        self._wake.set()

    def _tell(self, event: str, *args: Any) -> None:
        """Call the reporter's method for an event that doit does not have; doit's own
        reporters lack it."""
        if hasattr(self.reporter, event):
            getattr(self.reporter, event)(*args)


def _reason(fail: BaseFail) -> str:
    """Why a task failed, in the words that the reporter prints."""
    said = fail.get_msg() if isinstance(fail, TaskError) else fail.message
    return str(said).rstrip()
