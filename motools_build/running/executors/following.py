"""Reading what a job writes while it is at work, and at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motools_build.backends.job import Made, StageJob
from motools_build.errors import StageFailed
from motools_build.running.launch.messages import (
    Done,
    Failed,
    Message,
    Request,
    decode,
)
from motools_build.running.workers import error_of
from motools_build.store.jobs import JobFolder


class Tail:
    """Reads the messages that are appended to a file, each complete line once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        """Offset of the first byte that was not read as part of a message."""

    def read(self) -> list[Message]:
        """The messages that came since the last call; none if there is no file. A line
        that a kill cut short is skipped once another one follows."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return []
        whole, newline, _ = data.rpartition(b"\n")
        self._at += len(whole) + len(newline)
        found = []
        for line in whole.split(b"\n"):
            try:
                found.append(decode(line))
            except (ValueError, KeyError, TypeError):
                continue
        return found


def log_of(folder: JobFolder) -> Path:
    """The log of the folder's job."""
    return Request.decode(folder.order["request"].encode()).log


def outcome_of(
    result: Mapping[str, Any], job: StageJob, folder: JobFolder
) -> Made | Exception:
    """The job's result, or its error, from the last message of its folder."""
    message = decode(json.dumps(result).encode())
    match message:
        case Done(_, made):
            return made
        case Failed():
            return error_of(message, log_of(folder))
    return StageFailed(f"{folder.path}/result.json holds no result of {job.name}")
