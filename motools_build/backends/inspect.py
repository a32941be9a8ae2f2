"""Evals by Inspect AI, in a worker; a result counts only if nothing is missing in it.

Inspect calls a log with failed samples a success, over a smaller denominator; here
the stage then fails, with the log kept.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.accounts import Account
from motools_build.backends.base import (
    Backend,
    Job,
    Made,
    Progress,
    Report,
    checkpoint_of,
)
from motools_build.errors import EvalFailed
from motools_build.keys import canonical, digest_bytes

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

SCORES = "scores.jsonl"
"""Payload: one line a sample and epoch, with each scorer's value."""


class InspectBackend(Backend):
    """Runs `path/to/file.py@task` over a model, whoever serves it."""

    in_worker = frozenset({"eval"})

    def prepare(self, job: Job) -> None:
        import inspect_ai.model  # noqa: F401 - a second, paid once

        if "base" in job.given:
            from motools_build.backends.embedded import load

            load(job.given["base"].details["file"])

    def work(self, job: Job, report: Report) -> Made:
        return evaluate(job, report)


def evaluate(job: Job, report: Report) -> Made:
    """Run one eval. Leaves Inspect's log and the scores in the work folder.

    Raises EvalFailed unless every declared sample was answered and scored without an
    error. Blocks: Inspect runs one eval at a time in a process.
    """
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import get_model

    params = job.params
    overrides = dict(params["overrides"])
    work = Path(job.work).absolute()  # the task's code may go to another folder
    _listen()
    _watched.report = report
    try:
        (log,) = inspect_eval(
            f"{params['file']}@{params['function']}",
            model=get_model(memoize=False, **served(job)),
            model_roles=judges(job),
            task_args=overrides.pop("args", {}),
            log_dir=str(work),
            metadata={
                "stage": job.name,
                "key": job.key,
                "setting": params["setting"],
                "dataset": params["dataset"],
                "base_model": params["model"],
                "training_seed": params["seed"],
            },
            display="none",
            score_display=False,
            log_model_api=False,
            log_realtime=False,
            ctl_server=False,
            **overrides,
        )
    except Exception as error:  # the task's own code ran, so anything may come
        raise EvalFailed(
            f"{params['file']}@{params['function']}: {type(error).__name__}: {error}"
        ) from error
    finally:
        _watched.report = None
    return accepted(log, work, job.work)


def served(job: Job) -> dict[str, Any]:
    """Arguments of Inspect's `get_model` for the job's model."""
    model = job.given.get("model")
    if job.params["model"].startswith("openai/"):
        return _hosted(job, Account(**job.params["account"]))
    subject = job.name.removeprefix("eval:").rsplit("/", 1)[0]
    name = f"motools/{subject}"
    if job.params["model"].startswith("dummy/"):
        adapter = model.folder if model else None
        return {"model": name, "kind": "dummy", "adapter": adapter}
    return {
        "model": name,
        "kind": "embedded",
        "weights": job.given["base"].details["file"],
        "adapter": model.folder if model else None,
    }


def judges(job: Job) -> dict[str, Any]:
    """The models of the eval's roles, each named explicitly: a judge that a scorer
    takes by default is recorded nowhere."""
    from inspect_ai.model import get_model

    found = {}
    for role, name in job.params["roles"].items():
        if name.startswith("openai/"):
            account = Account(**job.params["account"])
            asked = _at(account, name.split("/", 1)[1])
        else:
            asked = {"model": f"motools/{name}"}
        found[role] = get_model(memoize=False, **asked)
    return found


def _hosted(job: Job, account: Account) -> dict[str, Any]:
    model = job.given.get("model")
    name = checkpoint_of(job, model) if model else job.params["model"].split("/", 1)[1]
    return _at(account, name)


def _at(account: Account, name: str) -> dict[str, Any]:
    """A model at the account that owns it; nothing of it is left to the environment."""
    scope = {"organization": account.organization, "project": account.project}
    # names that Inspect does not know go to the Responses API, which other servers lack
    chat_only = {} if account.identity == "openai" else {"responses_api": False}
    return {
        "model": f"openai/{name}",
        "api_key": account.key(),
        "base_url": account.base_url,
        **{field: value for field, value in scope.items() if value},
        **chat_only,
    }


def accepted(log: EvalLog, work: Path, shown: str) -> Made:
    """The result of a log that counts. Raises EvalFailed, naming what is missing and
    where to look: in the work folder, as it is `shown`."""
    look = f"inspect view --log-dir {shown}"
    failed = [sample for sample in log.samples or [] if sample.error]
    # the first error cancels the other samples: name it, not them
    failed.sort(key=lambda sample: "CancelledError" in str(sample.error))
    if failed and failed[0].error:
        raise EvalFailed(
            f"sample {failed[0].id} (epoch {failed[0].epoch}) failed: "
            f"{_last_line(failed[0].error.message)}; to look at it: {look}"
        )
    if log.status != "success" or log.results is None:
        said = f": {_last_line(log.error.message)}" if log.error else ""
        raise EvalFailed(f"Inspect ended it as {log.status!r}{said}; look: {look}")
    results = log.results
    if not results.total_samples:
        raise EvalFailed("the task has no samples; give its dataset some rows")
    if results.completed_samples != results.total_samples:
        raise EvalFailed(
            f"only {results.completed_samples} of {results.total_samples} samples "
            f"completed; look: {look}"
        )
    if not results.scores:
        raise EvalFailed("the task has no scorer, so there is nothing to report")
    rows = [
        {
            "id": sample.id,
            "epoch": sample.epoch,
            "scores": {
                name: _number_or_text(score.value)
                for name, score in sorted((sample.scores or {}).items())
            },
        }
        for sample in log.samples or []
    ]
    rows.sort(key=lambda row: (str(row["id"]), row["epoch"]))
    lines = b"".join(canonical(row) + b"\n" for row in rows)
    (work / SCORES).write_bytes(lines)
    return Made(digest_bytes(lines), _details(log))


def _details(log: EvalLog) -> dict[str, Any]:
    assert log.results is not None
    scores: dict[str, dict[str, Any]] = {}
    for score in log.results.scores:
        name = score.name
        if name in scores:  # one scorer, several reducers
            name = f"{score.name}/{score.reducer}"
        scores[name] = {
            **{metric: _finite(value.value) for metric, value in score.metrics.items()},
            "n": score.scored_samples,
            "unscored": score.unscored_samples or 0,
        }
    return {
        "task": log.eval.task,
        "samples": log.results.total_samples,
        "scores": scores,
        "tokens": {
            "input": sum(u.input_tokens for u in log.stats.model_usage.values()),
            "output": sum(u.output_tokens for u in log.stats.model_usage.values()),
        },
        "usage": {
            model: [used.input_tokens, used.output_tokens]
            for model, used in sorted(log.stats.model_usage.items())
        },
        "log": Path(log.location).name,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number_or_text(value: Any) -> Any:
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(name): _number_or_text(item) for name, item in value.items()}
    return [_number_or_text(item) for item in value]


def _last_line(message: str) -> str:
    lines = [line for line in message.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"


@dataclass
class _Watched:
    """The eval that is running; Inspect allows one at a time in a process."""

    report: Report | None = None
    done: int = 0
    total: int = 0


_watched = _Watched()


@functools.cache
def _listen() -> None:
    """Register Inspect hooks that pass on how many samples are done."""
    from inspect_ai.hooks import Hooks, SampleEnd, TaskStart, hooks

    @hooks(name="motools_progress", description="Progress of a motools_build worker")
    class Listener(Hooks):
        async def on_task_start(self, data: TaskStart) -> None:
            samples = data.spec.dataset.samples or 0
            limit = data.spec.config.limit
            if isinstance(limit, int):
                samples = min(samples, limit)
            _watched.done = 0
            _watched.total = samples * (data.spec.config.epochs or 1)

        async def on_sample_end(self, data: SampleEnd) -> None:
            _watched.done += 1
            if _watched.report:
                _watched.report(Progress(_watched.done, _watched.total, "samples"))
