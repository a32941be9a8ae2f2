"""`python -m motools_build.running.worker`: heavy stages, out of the host's process.

A line of standard input is JSON, `{"jobs": [...], "log": PATH, "folder": PATH}`: one
job, or several that are to be worked on together, in a child of their own. Lines of
standard output say `{"key", "progress"}`, in the end for each `{"key", "made"}` or
`{"key", "failed"}`, and last `{"ended": EXIT CODE}`. What a job prints goes to the
log, by way of the worker, which takes keys out of it.

The worker imports what its jobs need and loads base weights once; a child is forked
from it and shares both. So an eval cannot leave modules, patches or another working
folder behind for the next one. The worker has no threads, which makes forking safe.
It ends with its whole process group as soon as its input does.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from motools_build.backends import registry
from motools_build.backends.base import CHECK, Given, Job, Made, Progress, ReportOf
from motools_build.errors import ArtifactError, text_of
from motools_build.task_code.attempts import carry, noted
from motools_build.task_code.audit import WATCH
from motools_build.task_code.reads import READ, is_declared, variables_of
from motools_build.text.scrub import learn, scrub

PIPE_READS = 64
"""Reads after which a pipe that was full is empty: Linux lets none be over 1 MiB."""

LONGEST = 1 << 20
"""Bytes of a line after which the log has it in parts."""


def main() -> None:
    learn(os.environ)
    channel = os.dup(1)
    os.dup2(2, 1)  # whatever prints, prints elsewhere
    host = _Lines(0)
    WATCH.start(os.getcwd())
    while True:
        while not host.waiting:
            host.listen()
        _supervise(json.loads(host.waiting.popleft()), channel, host)


class _Lines:
    """Lines of a file descriptor, as they come."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.waiting: deque[bytes] = deque()
        self._rest = b""

    def read(self) -> list[bytes] | None:
        """The whole lines that are there now; None at the end."""
        data = os.read(self.descriptor, 1 << 16)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def listen(self) -> None:
        """Take in what the host sends; the end of it is the end of the worker."""
        lines = self.read()
        if lines is None:
            os.killpg(0, signal.SIGKILL)
        self.waiting.extend(lines or [])


def _supervise(request: dict[str, Any], channel: int, host: _Lines) -> None:
    """Do the jobs in a child; pass on its messages, and how it ended."""
    jobs = [_job(fields) for fields in request["jobs"]]
    reader, writer = os.pipe()
    printed, printer = os.pipe()
    with _Log(request["log"], printed) as log:
        prepared = _prepared(jobs[0], log)
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            for descriptor in (reader, channel, printed):
                os.close(descriptor)
            os._exit(_child(jobs, request, writer, printer, prepared))
        os.close(writer)
        os.close(printer)
        messages, watched = _Lines(reader), [reader, host.descriptor, printed]
        while True:
            ready, _, _ = select.select(watched, [], [])
            if host.descriptor in ready:
                host.listen()
            if printed in ready and not log.take_in():
                watched.remove(printed)
            if reader in ready:
                lines = messages.read()
                if lines is None:
                    break
                for line in lines:
                    os.write(channel, line + b"\n")
        os.close(reader)
        _, status = os.waitpid(child, 0)
    ended = {"ended": os.waitstatus_to_exitcode(status)}
    os.write(channel, json.dumps(ended).encode() + b"\n")


def _job(fields: dict[str, Any]) -> Job:
    given = {role: Given(**given) for role, given in fields.pop("given").items()}
    return Job(**fields, given=given)


def _prepared(job: Job, log: _Log) -> BaseException | None:
    """Import and load what the job's child should find ready. The error, if that
    fails, is the child's to report."""
    with tempfile.TemporaryFile() as said:
        try:
            with _printing_to(said.fileno()):
                registry.get(job.backend).prepare(job)
        except BaseException as error:  # noqa: BLE001 - the child reports it
            return error
        finally:
            said.seek(0)
            log.write(said.read())
    return None


def _child(
    jobs: list[Job],
    request: dict[str, Any],
    writer: int,
    printer: int,
    prepared: BaseException | None,
) -> int:
    """The jobs themselves; the exit code of their process."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # an eval that reads it must not wait
    # a task's modules come from their source: the bytecode cache takes an edit within
    # a second that keeps the size for no edit
    sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull

    def send(message: dict[str, Any]) -> None:
        learn(os.environ)  # a task's own code may have read keys from a file
        os.write(writer, scrub(json.dumps(message)).encode() + b"\n")

    def report(key: str, progress: Progress) -> None:
        send({"key": key, "progress": asdict(progress)})

    began = time.monotonic()
    made: Mapping[str, Made | BaseException]
    try:
        with _printing_to(printer):
            if prepared is not None:
                raise prepared
            made = _watched(jobs, request["folder"], report)
    except BaseException as error:  # noqa: BLE001 - sent to the host, which raises it
        made = {job.key: error for job in jobs}
    seconds = (time.monotonic() - began) / len(jobs)
    for key, outcome in made.items():
        if isinstance(outcome, BaseException):
            failed = {"type": type(outcome).__name__, "message": text_of(outcome)}
            send({"key": key, "failed": failed})
        else:
            send({"key": key, "made": asdict(replace(outcome, seconds=seconds))})
    return 0


def _watched(
    jobs: list[Job], folder: str | None, report: ReportOf
) -> Mapping[str, Made | BaseException]:
    """The jobs, made; of evals, whose own code reads files: what they read is what was
    planned, and what no key holds is in their details."""
    if jobs[0].backend != "inspect" or CHECK in jobs[0].params:
        return _made(jobs, folder, report)
    WATCH.begin({path: d for job in jobs for path, d in job.files.items()})
    logs = Path(folder or jobs[0].work)
    try:
        made = dict(_made(jobs, folder, report))
    finally:
        WATCH.end()
        if WATCH.edited:  # whatever came of it: its logs count for nothing
            for job in jobs:
                carry(logs, Path(job.work))
            raise ArtifactError("; ".join(WATCH.edited.values()))
    for key, outcome in made.items():
        if isinstance(outcome, Made):
            (job,) = (job for job in jobs if job.key == key)
            work = Path(job.work)
            details = {**outcome.details, **_read_by(job, {logs, work})}
            made[key] = replace(outcome, details=details)
            (work / READ).unlink(missing_ok=True)
    if folder is not None and not any(logs.glob("*.eval")):
        (logs / READ).unlink(missing_ok=True)
    return made


def _read_by(job: Job, logs: set[Path]) -> dict[str, Any]:
    """What a record should say of what an eval read, besides what is in its key."""
    data = tuple(job.params.get("data", ()))
    given = {one.details.get("file") for one in job.given.values()} - {None}
    served = {os.path.abspath(str(file)) for file in given}
    observed = WATCH.observed()
    for folder in logs:  # an attempt before this one may have read more
        observed = {**noted(folder), **observed}
    observed = {
        name: digest
        for name, digest in sorted(observed.items())
        if name not in job.files
        and os.path.abspath(name) not in served
        and not (name.endswith("/") and is_declared(name, data))
    }
    variables = {v for path in WATCH.sources() for v in variables_of(_bytes(path))}
    told = {"observed": observed, "variables": sorted(variables)}
    return {what: found for what, found in told.items() if found}


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _made(
    jobs: list[Job], folder: str | None, report: ReportOf
) -> Mapping[str, Made | BaseException]:
    backend = registry.get(jobs[0].backend)
    if folder is not None:
        return backend.work_together(jobs, folder, report)
    (job,) = jobs
    return {job.key: backend.work(job, lambda told: report(job.key, told))}


@contextmanager
def _printing_to(descriptor: int) -> Iterator[None]:
    """Standard output and error to a file or a pipe, and a traceback if it comes to
    that."""
    before = os.dup(1), os.dup(2)
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        yield
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in enumerate(before, 1):
            os.dup2(saved, number)
            os.close(saved)


class _Log:
    """The log of jobs, of what they print into a pipe; no file if that is nothing."""

    def __init__(self, path: str, printed: int) -> None:
        self._path = path
        self._printed = printed
        self._rest = b""

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *about: object) -> None:
        """Take in what is left: no more than a pipe holds, since a process that the
        job left behind may print on."""
        os.set_blocking(self._printed, False)
        with suppress(BlockingIOError):
            for _ in range(PIPE_READS):
                if not self.take_in():
                    break
        os.close(self._printed)
        self._append(self._rest)

    def take_in(self) -> bool:
        """Write down the whole lines of what was printed; False at its end."""
        data = os.read(self._printed, 1 << 16)
        self.write(data)
        return bool(data)

    def write(self, data: bytes) -> None:
        """Write down whole lines, since a key may come in two parts."""
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        if len(self._rest) > LONGEST:
            newline, self._rest = newline + self._rest, b""
        self._append(whole + newline)

    def _append(self, data: bytes) -> None:
        if not data:
            return
        learn(os.environ)
        text = scrub(data.decode("utf-8", "surrogateescape"))
        os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
        with open(self._path, "ab") as file:
            file.write(text.encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    main()
