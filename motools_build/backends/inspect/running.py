"""Runs the evals of a group of jobs in one call of Inspect, and keeps their logs.

Answers that a failed or killed attempt got are in its log in the work folder, and are
not asked for again. `load_tasks` and `PreviousTask` are not in Inspect's public
interface (docs/decisions/0008).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.backends.asking import TRIES, patience
from motools_build.backends.inspect import telling
from motools_build.backends.inspect.apart import scores_apart
from motools_build.backends.inspect.caching import nothing_cached
from motools_build.backends.inspect.keyless import guard, scrub_logs
from motools_build.backends.inspect.loading import (
    failed,
    scorer_of,
    task_of,
    under,
)
from motools_build.backends.inspect.model_apis import first_epoch, judges, subject
from motools_build.backends.inspect.outcome import accepted
from motools_build.backends.inspect.questions import same_questions, unnamed
from motools_build.backends.inspect.recorded import recorded_task
from motools_build.backends.inspect.sampling import sampling_task
from motools_build.backends.inspect.scores import conversions_watched
from motools_build.backends.inspect.streams import name_samples
from motools_build.backends.inspect.utf8 import whole_samples
from motools_build.backends.job import Made, Progress, ReportOf, StageJob
from motools_build.errors import MotoolsError
from motools_build.params import AskParams
from motools_build.task_code.attempts import carry, same_as_read
from motools_build.task_code.audit import WATCH

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalLog, EvalLogInfo

    Earlier = dict[str, list[tuple[EvalLogInfo, EvalLog]]]

TOLERATED = 10
"""Failed samples after which an eval is stopped. With fewer, the others are still
answered, so that the next run asks only the failed ones again."""

FLUSHES = 200
"""How often a log is written while its eval runs; each write is of the whole log."""

SERVED = 64
"""Concurrent requests to a model that this machine serves: two batches, so that the
next batch can be full when one ends. By default Inspect begins with 20, and 200 samples
ran in batches of 20, 5, 32, 8, 19 and 1."""

AT_SERVER = 256
"""The same for a server, which joins a request to its batch at any time."""

QUIET: dict[str, Any] = {
    **{"display": "none", "score_display": False, "ctl_server": False},
    **{"log_model_api": False, "log_realtime": False},
}
"""Options of `inspect_ai.eval`: nothing on the terminal, no control server, no database
beside the log, no raw API calls in the log."""


def evaluate(
    jobs: Sequence[StageJob], folder: str, report: ReportOf
) -> dict[str, Made | MotoolsError]:
    """Run the evals of one task, each job with its own model. Returns stage key ->
    result or EvalFailed; in both cases the log is in the job's work folder.

    `folder` has the logs of running and of killed attempts. Blocks, because Inspect
    runs one call at a time in a process.
    """
    outcomes: dict[str, Made | MotoolsError] = {}
    places = {job.key: Path(job.work).absolute() for job in jobs}
    at = Path(folder).absolute()
    scrub_logs({at, *places.values()})
    earlier = _earlier(jobs, at, places)
    WATCH.keep(at)
    fresh: dict[str, Task] = {}
    resumed: dict[str, Task] = {}
    for job in jobs:
        try:
            made = _task(job)
        except MotoolsError as error:
            outcomes[job.key] = error
        else:
            kept = job.key in earlier and same_questions(earlier[job.key][0][0], made)
            (resumed if kept else fresh)[job.key] = made
    by_key = {job.key: job for job in jobs}
    for tasks in (fresh, resumed):
        if not tasks:
            continue
        asked = [by_key[key] for key in tasks]
        try:
            before = earlier if tasks is resumed else {}
            with conversions_watched() as converted:
                logs = _call(asked, tasks, before, at, report)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - reported for each job
            outcomes.update({job.key: failed(job, error) for job in asked})
            continue
        for key, log in logs.items():
            outcomes[key] = _kept(by_key[key], log, places[key], tasks[key], converted)
            for info, _ in earlier.get(key, []):  # the new log has all their answers
                _path(info.name).unlink(missing_ok=True)
    scrub_logs({at, *places.values()})
    return outcomes


def _task(job: StageJob) -> Task:
    """The job's task, with its model and judges set. Raises EvalFailed."""
    from inspect_ai import task_with

    model, given = subject(job), judges(job)
    if scores_apart(job):
        task = recorded_task(job, under(job, model, given, lambda: scorer_of(job)))
    elif job.kind == "dataset":
        task = sampling_task(job)
    else:
        task = under(job, model, given, lambda: task_of(job))
    WATCH.settle()
    name_samples(str(model), unnamed(task.dataset))
    return task_with(
        whole_samples(task),
        model=model,
        model_roles={**(task.model_roles or {}), **given},
        metadata={**(task.metadata or {}), **telling.about(job)},
        tags=[*(task.tags or []), *telling.tags(job)],
    )


def _call(
    jobs: Sequence[StageJob],
    tasks: dict[str, Task],
    earlier: Earlier,
    folder: Path,
    report: ReportOf,
) -> dict[str, EvalLog]:
    from inspect_ai import Epochs
    from inspect_ai import eval as inspect_eval
    from inspect_ai._eval.task import PreviousTask

    overrides = AskParams.of(jobs[0]).task.overrides  # the jobs differ only in model
    asked = {n: v for n, v in overrides.items() if n != "args"}
    reducer = asked.pop("reducer", None)
    if reducer:
        asked["epochs"] = Epochs(asked["epochs"], list(reducer))
    accounts = jobs[0].accounts
    if accounts:
        asked["max_connections"] = min(account.connections for account in accounts)
        asked["timeout"] = max(map(patience, accounts))
    else:
        asked["max_connections"] = AT_SERVER if telling.at_server(jobs[0]) else SERVED
    listed: list[Any] = list(tasks.values())
    if earlier:
        listed = [
            PreviousTask(
                id=header.eval.task_id,
                task=task,
                task_args=overrides.get("args", {}),
                model=task.model,
                model_roles=None,
                sandbox=None,
                log=header,
                log_info=info,
            )
            for task, (info, header) in ((t, earlier[k][0]) for k, t in tasks.items())
        ]
    answers = sum(len(task.dataset) for task in tasks.values())
    answers *= overrides.get("epochs", 1)
    guard()
    _listen()
    _watched.report = report
    # Inspect's cache would confuse this block's epochs with those of the first block
    later = nothing_cached() if first_epoch(jobs[0]) > 1 else nullcontext()
    try:
        with later:
            logs = inspect_eval(
                listed,
                log_dir=str(folder),
                log_buffer=max(1, answers // len(tasks) // FLUSHES),
                max_tasks=len(tasks),
                score=jobs[0].kind == "eval",
                fail_on_error=TOLERATED,
                retry_on_error=TRIES,
                **QUIET,
                **asked,
            )
    finally:
        _watched.report = None
    return {log.eval.metadata["key"]: log for log in logs if log.eval.metadata}


def _kept(
    job: StageJob, log: EvalLog, place: Path, task: Task, converted: Collection[str]
) -> Made | MotoolsError:
    """The job's result or error; moves its log into its work folder."""
    try:
        outcome: Made | MotoolsError = accepted(log, job, place, task, converted)
    except MotoolsError as error:
        outcome = error
    written = _path(log.location)
    carry(written.parent, place)
    written.replace(place / written.name)
    return outcome


def _earlier(
    jobs: Sequence[StageJob], folder: Path, places: dict[str, Path]
) -> Earlier:
    """Stage key -> logs of failed or killed attempts with the same models, the largest
    file first."""
    from inspect_ai.log import list_eval_logs, read_eval_log

    made_from = {job.key: telling.made_from(job) for job in jobs}
    found: Earlier = {}
    for place in dict.fromkeys((folder, *places.values())):
        if not same_as_read(place):
            continue
        for info in list_eval_logs(str(place), recursive=False):
            try:
                header = read_eval_log(info, header_only=True)
            except Exception as error:  # noqa: BLE001 - reported, then asked again
                print(f"{info.name} cannot be read ({error})", file=sys.stderr)
                continue
            about = header.eval.metadata or {}
            key = about.get("key")
            if key in made_from and about.get("made_from") == made_from[key]:
                found.setdefault(key, []).append((info, header))
    for logs in found.values():
        logs.sort(key=lambda log: log[0].size or 0, reverse=True)
    return found


def _path(location: str) -> Path:
    return Path(location.removeprefix("file://"))


@dataclass
class _Watched:
    """The progress of the evals of the current call."""

    report: ReportOf | None = None
    keys: dict[str, str] = field(default_factory=dict)
    """Inspect's ID of an eval -> stage key."""
    totals: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)


_watched = _Watched()


@functools.cache
def _listen() -> None:
    """Register Inspect hooks that report how many samples are done, once per
    process."""
    from inspect_ai.hooks import Hooks, SampleEnd, TaskStart, hooks

    @hooks(name="motools_progress", description="Progress of a motools_build worker")
    class Listener(Hooks):
        async def on_task_start(self, data: TaskStart) -> None:
            samples = data.spec.dataset.samples or 0
            limit = data.spec.config.limit
            if isinstance(limit, int):
                samples = min(samples, limit)
            _watched.keys[data.eval_id] = (data.spec.metadata or {})["key"]
            _watched.totals[data.eval_id] = samples * (data.spec.config.epochs or 1)
            _watched.done[data.eval_id] = 0
            self.told(data.eval_id)  # show the total before the first samples end

        async def on_sample_end(self, data: SampleEnd) -> None:
            WATCH.settle()
            _watched.done[data.eval_id] += 1
            self.told(data.eval_id)

        def told(self, eval_id: str) -> None:
            if _watched.report:
                done, total = _watched.done[eval_id], _watched.totals[eval_id]
                progress = Progress(done, total, "samples")
                _watched.report(_watched.keys[eval_id], progress)
