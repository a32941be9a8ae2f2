"""Turns a log into a result, if the log is complete.

Inspect calls a log with failed samples a success, over a smaller denominator; here
the stage then fails, and the log is kept.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.backends.inspect.apart import scores_apart
from motools_build.backends.inspect.counted import Counted
from motools_build.backends.inspect.sampling import write_rows
from motools_build.backends.inspect.scores import as_line, counting_values, ended_by
from motools_build.backends.job import Made, StageJob
from motools_build.errors import EvalFailed, one_line
from motools_build.keys import Digest, digest_bytes
from motools_build.text.scrub import scrub_values
from motools_build.text.visible import whole

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalError, EvalLog, EvalSample
    from pydantic import BaseModel

CAUSED = "The above exception was the direct cause"
"""Text between the tracebacks of an exception and of its consequence."""

SCORES = "scores.jsonl"
"""The payload file of an eval: a JSON line for each sample and epoch, with each
scorer's value; if a value is no number, the field `why` says why."""

SHORTENED = re.compile(r"^\w+\(\d+, |\\n")
"""Matches a repr that shortens the message: an OSError without its file, or lines."""


def accepted(
    log: EvalLog,
    job: StageJob,
    work: Path,
    task: Task | None = None,
    converted: Collection[str] = (),
) -> Made:
    """The result of a complete log: answers, rows of a dataset, or scores of an eval.
    `converted` holds the values that Inspect warned it had counted as 0.

    Raises EvalFailed if something is missing; the message says what, and how to view
    the log in the job's work folder.
    """
    look = f"inspect view --log-dir {job.work}"
    samples = log.samples or []
    _check_samples(samples, job, look)
    if task and job.kind == "eval" and _only_metrics_failed(log):
        log = _recovered(log)
    _check_whole(log, look)
    details = {**_details(log), **_noticed(log, job)}
    if job.kind == "samples":
        return Made(_digest_of(_answer(sample) for sample in samples), details)
    if job.kind == "dataset":
        return write_rows(samples, job, work, details)
    assert log.results is not None
    if not log.results.scores and not log.error:
        raise EvalFailed(
            "the task has no scorer, so there is nothing to report; give it one, or "
            'name one apart: Eval(..., scorer="FILE.py@SCORER")'
        )
    counted = Counted(log, task, converted)
    lines = _lines(samples, counted)
    (work / SCORES).write_bytes(lines)
    scores = {"scores": counted.scores(), "counts": counted.counts()}
    return Made(digest_bytes(lines), {**details, **scores})


def _check_samples(samples: Sequence[EvalSample], job: StageJob, look: str) -> None:
    """Raises EvalFailed if a sample failed, with the error of the first such sample."""
    failed = [sample for sample in samples if sample.error]
    # an error that ends the eval cancels the other samples: name it, not them
    failed.sort(key=lambda sample: "CancelledError" in str(sample.error))
    if failed and failed[0].error:
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise EvalFailed(
            f"sample {failed[0].id} (epoch {failed[0].epoch}) failed{more}: "
            f"{_said(failed[0].error, job)}; to look at it: {look}; the next "
            "run asks for what failed alone"
        )


def _check_whole(log: EvalLog, look: str) -> None:
    """Raises EvalFailed if the eval did not succeed, or lacks samples."""
    if log.status != "success" or log.results is None:
        said = f": {_told(log.error)}" if log.error else ""
        raise EvalFailed(f"Inspect ended it as {log.status!r}{said}; look: {look}")
    results = log.results
    if not results.total_samples:
        raise EvalFailed("the task has no samples; give its dataset some rows")
    if results.completed_samples != results.total_samples:
        raise EvalFailed(
            f"only {results.completed_samples} of {results.total_samples} samples "
            f"completed; look: {look}"
        )


def _lines(samples: Sequence[EvalSample], counted: Counted) -> bytes:
    """The bytes of `scores.jsonl`, sorted by sample and epoch: samples end in any
    order, and the artifact's digest must not depend on it."""
    rows = [
        {
            "id": sample.id,
            "epoch": sample.epoch,
            "scores": counting_values(sample),
            **({"why": why} if (why := counted.why(sample)) else {}),
        }
        for sample in samples
    ]
    rows.sort(key=lambda row: (str(row["id"]), row["epoch"]))
    return b"".join(as_line(whole(scrub_values(row))) + b"\n" for row in rows)


def _only_metrics_failed(log: EvalLog) -> bool:
    """Whether all samples were answered and scored, and only the metrics failed: one
    sample that lacks a key, or has an integer too large for a float, fails them all."""
    expected = log.eval.dataset.samples or 0
    if isinstance(log.eval.config.limit, int):
        expected = min(expected, log.eval.config.limit)
    expected *= log.eval.config.epochs or 1
    samples = log.samples or []
    whole = len(samples) == expected and not any(s.error for s in samples)
    return log.status == "error" and whole and any(s.scores for s in samples)


def _recovered(log: EvalLog) -> EvalLog:
    """The log as a success without metrics, which are still to be computed."""
    from inspect_ai.log import EvalResults

    asked = len(log.samples or [])
    results = EvalResults(total_samples=asked, completed_samples=asked)
    return log.model_copy(update={"status": "success", "results": results})


def _details(log: EvalLog) -> dict[str, Any]:
    assert log.results is not None
    usage, judges = _usage(log), _judges(log)
    return {
        "task": log.eval.task,
        "samples": log.results.total_samples,
        "tokens": {
            "input": sum(read for read, _ in usage.values()),
            "output": sum(written for _, written in usage.values()),
        },
        "usage": usage,
        **({"judges": judges} if judges else {}),
        "log": Path(log.location).name,
        "resolved": _resolved(log),
    }


def _noticed(log: EvalLog, job: StageJob) -> dict[str, Any]:
    """Remarks on the answers: how many a limit ended, by the limit's type (`limits`),
    and whether the task did not ask the model at all (`never_asked`)."""
    samples = log.samples or []
    ended = Counter(limit for s in samples if (limit := ended_by(s)) is not None)
    asked = any(
        log.eval.model in sample.model_usage
        or any(event.event == "model" and not event.role for event in sample.events)
        for sample in samples
    )
    if scores_apart(job):  # the `samples` stages asked the model, and recorded this
        asked = not all(
            given.details.get("never_asked")
            for role, given in job.given.items()
            if role.startswith("samples:")
        )
    return {
        **({"limits": dict(sorted(ended.items()))} if ended else {}),
        **({} if asked else {"never_asked": True}),
    }


def _usage(log: EvalLog) -> dict[str, list[int]]:
    """Model -> [input, output] tokens. Samples of a killed attempt are included: the
    log's own statistics leave them out."""
    read: Counter[str] = Counter()
    written: Counter[str] = Counter()
    for sample in log.samples or []:
        for model, used in sample.model_usage.items():
            read[model] += used.input_tokens
            written[model] += used.output_tokens
    for model, used in log.stats.model_usage.items():
        read[model] = max(read[model], used.input_tokens)
        written[model] = max(written[model], used.output_tokens)
    return {model: [read[model], written[model]] for model in sorted(read)}


def _resolved(log: EvalLog) -> dict[str, Digest]:
    """Digests of the task as Inspect resolved it, by part: they must be equal for all
    results of one key."""
    samples = log.samples or []
    config = log.eval.config
    runtime = {"max_connections", "timeout", "max_retries", "attempt_timeout"}
    return {
        "samples": _digest_of(
            _plain(sample, {"id", "input", "target", "choices"})
            for sample in samples
            if sample.epoch == 1
        ),
        **_of_any_model("solver", log.plan.steps, log),
        **_of_any_model("scorers", log.eval.scorers or [], log),
        "roles": _digest_of([role, str(judge)] for role, judge in _judges(log).items()),
        "config": _digest_of(
            (
                log.plan.config.model_dump(mode="json", exclude=runtime),
                [config.limit, config.epochs, config.epochs_reducer],
            )
        ),
    }


def _of_any_model(
    part: str, values: Iterable[BaseModel], log: EvalLog
) -> dict[str, Digest]:
    """{part: digest}; empty if the part names the model under test, as its digest then
    differs for each model, whatever the task reads."""
    found = [value.model_dump(mode="json") for value in values]
    name = log.eval.model.split("/", 1)[-1]
    return {} if name in json.dumps(found) else {part: _digest_of(found)}


def _judges(log: EvalLog) -> dict[str, str]:
    return {
        role: ", ".join(one.model for one in judge)
        if isinstance(judge, list)
        else judge.model
        for role, judge in (log.eval.model_roles or {}).items()
    }


def _answer(sample: EvalSample) -> dict[str, Any]:
    """A sample's question and answer, without times and random IDs."""
    answer = _plain(sample, {"id", "epoch", "input", "target", "choices"})
    answer["messages"] = [
        message.model_dump(mode="json", exclude={"id"}, exclude_none=True)
        for message in sample.messages
    ]
    return answer


def _plain(sample: EvalSample, fields: set[str]) -> dict[str, Any]:
    plain: dict[str, Any] = sample.model_dump(
        mode="json", include=fields, exclude_none=True
    )
    for message in plain["input"] if isinstance(plain.get("input"), list) else []:
        message.pop("id", None)
    return plain


def _digest_of(values: Iterable[Any]) -> Digest:
    """Digest of JSON-like values, sorted by their JSON, as samples end in any order."""
    lines = sorted(json.dumps(value, sort_keys=True).encode() for value in values)
    return digest_bytes(b"\n".join(lines))


def _said(error: EvalError, job: StageJob) -> str:
    """An error's message; for a request that ran out of retries, its last error."""
    if not error.message.startswith("RetryError("):
        return _told(error)
    last = _last(error.traceback.split(CAUSED)[-2:][0])
    if not job.accounts:
        return last
    given_up = " or ".join(
        f"from {account.place} in {account.request_seconds} s (request_seconds of "
        f"account {account.name})"
        for account in job.accounts
    )
    return f"no answer {given_up}: {last}"


def _told(error: EvalError) -> str:
    """An error's message; taken from the traceback if the repr shortens it."""
    if not SHORTENED.search(error.message):
        return one_line(error.message)
    # the exception follows the last line of code, which is indented
    _, file, rest = error.traceback.rpartition('\n  File "')
    below = rest.splitlines()[1:] if file else []
    while below and below[0].startswith("    "):
        below.pop(0)
    return one_line("\n".join(below) or error.message)


def _last(message: str) -> str:
    return one_line(message.strip().splitlines()[-1] if message.strip() else "")
