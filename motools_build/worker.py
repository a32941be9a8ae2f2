"""`python -m motools_build.worker`: heavy stages, out of the host's process.

A line of standard input is a JSON list of `{"job": ..., "log": PATH}`; they are done
one after another. For each, lines of standard output say `{"key", "progress"}`, and
in the end `{"key", "made"}` or `{"key", "failed"}`. What the job itself prints goes to
its log. The process ends as soon as its input does, whatever it is doing.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from motools_build import backends
from motools_build.backends.base import Given, Job, Progress

Send = Callable[[dict[str, Any]], None]


def main() -> None:
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints, prints elsewhere
    lock = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with lock:
            channel.write(json.dumps(message) + "\n")

    waiting: queue.SimpleQueue[list[dict[str, Any]]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(waiting,), daemon=True).start()
    while True:
        for request in waiting.get():
            _do(request, send)


def _read(waiting: queue.SimpleQueue[list[dict[str, Any]]]) -> None:
    for line in sys.stdin.buffer:
        waiting.put(json.loads(line))
    os._exit(0)  # the host is gone; the main thread may be deep in NumPy


def _do(request: dict[str, Any], send: Send) -> None:
    fields = request["job"]
    fields["given"] = {k: Given(**given) for k, given in fields["given"].items()}
    job = Job(**fields)

    def report(progress: Progress) -> None:
        send({"key": job.key, "progress": asdict(progress)})

    began = time.monotonic()
    try:
        with _logged(request["log"]):
            made = backends.get(job.backend).work(job, report)
        made = replace(made, seconds=time.monotonic() - began)
    except BaseException as error:  # noqa: BLE001 - sent to the host, which raises it
        failed = {"type": type(error).__name__, "message": str(error)}
        send({"key": job.key, "failed": failed})
    else:
        send({"key": job.key, "made": asdict(made)})


@contextmanager
def _logged(path: str) -> Iterator[None]:
    """Standard output and error into a file, and a traceback if it comes to that; the
    file goes if nothing was written."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    before = os.dup(1), os.dup(2)
    with open(path, "ab", buffering=0) as log:
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
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
    if os.path.getsize(path) == 0:
        os.remove(path)


if __name__ == "__main__":
    main()
