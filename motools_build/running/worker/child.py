"""The child process of a worker that does the jobs of one request, and sends their
outcomes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from motools_build.backends.job import Made, Progress
from motools_build.errors import StageFailed, text_of
from motools_build.running.launch.messages import (
    Done,
    Failed,
    Message,
    Request,
    Told,
    encode,
)
from motools_build.running.worker.log import printing_to
from motools_build.running.worker.watched import watched
from motools_build.text.scrub import learn, scrub


def do(
    request: Request, writer: int, printer: int, prepared: BaseException | None
) -> int:
    """Do the request's jobs, and return the exit code of this process.

    Messages are written to the file descriptor `writer`, and the jobs' output to
    `printer`. `prepared` is the error if the worker could not import and load what the
    jobs need; then all jobs fail with it.
    """
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # an eval must not wait for input
    # import a task's modules from source only: Python's bytecode cache misses an edit
    # within the same second that keeps the file's size
    sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull

    def send(message: Message) -> None:
        learn(os.environ)  # a task's code may have set API keys from a file
        os.write(writer, scrub(encode(message).decode()).encode())

    def report(key: str, progress: Progress) -> None:
        send(Told(key, progress))

    began = time.monotonic()
    made: Mapping[str, Made | BaseException]
    try:
        with printing_to(printer):
            if prepared is not None:
                raise prepared
            made = watched(request.jobs, request.folder, report)
    except BaseException as error:  # noqa: BLE001 - the host raises it
        made = {job.key: error for job in request.jobs}
    seconds = (time.monotonic() - began) / len(request.jobs)
    for key, outcome in made.items():
        send(_message(key, outcome, seconds))
    return 0


def _message(key: str, outcome: object, seconds: float) -> Done | Failed:
    """What the host is told of a job: its result, or why there is none. A backend of
    another package may return anything, which must not look like a death."""
    if isinstance(outcome, BaseException):
        return Failed(key, type(outcome).__name__, text_of(outcome))
    if not isinstance(outcome, Made):
        told = f"the backend's `work` returned {outcome!r:.80}, not Made; mend it"
        return Failed(key, StageFailed.__name__, told)
    done = Done(key, replace(outcome, seconds=seconds))
    try:
        encode(done)
    except (TypeError, ValueError) as error:
        told = f"what the backend's `work` returned is no JSON: {error}; mend it"
        return Failed(key, StageFailed.__name__, told)
    return done
