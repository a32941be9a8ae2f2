"""The process of one request: it does the jobs, and tells how they came out."""

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
    """Do the request's jobs; the exit code of their process.

    Messages go to the descriptor `writer`, what the jobs print to `printer`; `prepared`
    is the error of what the worker was to import and load beforehand.
    """
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # an eval that reads it must not wait
    # a task's modules come from their source: the bytecode cache takes an edit within
    # a second that keeps the size for no edit
    sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull

    def send(message: Message) -> None:
        learn(os.environ)  # a task's own code may have read keys from a file
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
    except BaseException as error:  # noqa: BLE001 - sent to the host, which raises it
        made = {job.key: error for job in request.jobs}
    seconds = (time.monotonic() - began) / len(request.jobs)
    for key, outcome in made.items():
        if isinstance(outcome, BaseException):
            send(Failed(key, type(outcome).__name__, text_of(outcome)))
        else:
            send(Done(key, replace(outcome, seconds=seconds)))
    return 0
