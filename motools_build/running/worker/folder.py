"""Doing the job of a folder (`store/jobs.py`), on whichever machine a cluster chose."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from motools_build.running.launch.messages import (
    Done,
    Ended,
    Failed,
    Request,
    decode,
    encode,
)
from motools_build.running.worker.supervision import once
from motools_build.store.files import sync
from motools_build.store.jobs import JobFolder


def main(*paths: str) -> int:
    """Do the jobs of folders, one after another in this process, which keeps the base
    model, or its server, from one to the next. Returns the exit code; a job that dies
    ends the others with it, which the run then submits again.

    Nothing is done in a folder that has its result, that was cancelled, or that is gone
    because its stage is made. Waits while another process is at work in a folder: an
    earlier beginning of the same job may not have ended yet."""
    for path in paths:
        folder = JobFolder(Path(path))
        if not folder.path.is_dir():
            print(f"{path} is gone: nothing is left to do", file=sys.stderr)
            continue
        if len(paths) > 1:
            _print_to(folder.log)
        with ExitStack() as held:
            try:
                held.enter_context(folder.locked())
            except FileNotFoundError:  # gone meanwhile
                continue
            if _is_over(folder):
                continue
            code = _do(folder)
            if code and not folder.cancelled:
                return code
    return 0


def _is_over(folder: JobFolder) -> bool:
    """Whether there is nothing to do in a folder, whose lock is held."""
    gone = not folder.path.is_dir()
    return gone or folder.cancelled or folder.result is not None


def _print_to(log: Path) -> None:
    """Have what this process prints appended to a log."""
    with suppress(FileNotFoundError), open(log, "ab") as file:
        sys.stderr.flush()
        os.dup2(file.fileno(), 2)


def _do(folder: JobFolder) -> int:
    os.chdir(folder.order["folder"])
    folder.begin_work()
    request = Request.decode(folder.order["request"].encode())
    channel = os.open(folder.messages, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        # a kill may have cut the last line short
        size = os.fstat(channel).st_size
        if size and os.pread(channel, 1, size - 1) != b"\n":
            os.write(channel, b"\n")
        begin = os.fstat(channel).st_size
        once(request, channel, lambda: folder.cancelled)
        os.fsync(channel)
    finally:
        os.close(channel)
    code, result = 1, None
    for line in folder.messages.read_bytes()[begin:].splitlines():
        message = decode(line)
        if isinstance(message, Done | Failed):
            result = message
        elif isinstance(message, Ended):
            code = message.code
    if result is None:  # killed: the cluster says why, and may begin the job again
        return 128 - code if code < 0 else code or 1
    for place in (*folder.work.rglob("*"), folder.work):
        sync(place)
    folder.finish(encode(result))
    return 0
