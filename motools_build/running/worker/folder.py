"""Doing the job of a folder (`store/jobs.py`), on whichever machine a cluster chose."""

from __future__ import annotations

import os
import sys
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


def main(path: str) -> int:
    """Do the folder's job; returns the exit code. Nothing is done if the job has its
    result, or if the folder is gone because its stage is made. Waits while another
    process is at work in the folder: an earlier beginning of the same job may not have
    ended yet."""
    folder = JobFolder(Path(path))
    if not folder.path.is_dir():
        print(f"{path} is gone: nothing is left to do", file=sys.stderr)
        return 0
    with folder.locked():
        if folder.result is not None or not folder.path.is_dir():
            return 0
        return _do(folder)


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
        once(request, channel)
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
