"""The child process of a worker that does the jobs of one request, and sends their
outcomes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from motools_build.backends.job import Made, Progress
from motools_build.errors import text_of
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
        if isinstance(outcome, BaseException):
            send(Failed(key, type(outcome).__name__, text_of(outcome)))
        else:
            send(Done(key, replace(outcome, seconds=seconds)))
    return 0
