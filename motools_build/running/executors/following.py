"""Reading what a job writes while it is at work, and at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from motools_build.backends.job import Made, Progress, Report, StageJob
from motools_build.errors import StageFailed
from motools_build.running.executors.cluster import AGAIN, Cluster, Listed
from motools_build.running.executors.grouping import is_left_over
from motools_build.running.executors.job_folders import request_of
from motools_build.running.launch.messages import (
    Done,
    Failed,
    Message,
    decode,
)
from motools_build.running.workers import error_of
from motools_build.store.jobs import JobFolder

CANCELLED = f"{{}} was cancelled (doit cancel); {AGAIN}"


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
    return request_of(folder).log


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


def is_cancelled(folder: JobFolder) -> bool:
    """Whether a folder was cancelled, and closed perhaps, whose job goes on with
    others."""
    if not folder.path.is_dir():
        return True
    return folder.cancelled and not folder.is_locked() and folder.result is None


async def without_result(
    folder: JobFolder, cluster: Cluster, id: str, listed: Listed | None, report: Report
) -> StageFailed | None:
    """Why a job that has ended has no result; None if it is to be submitted again."""
    job = f"{cluster.label} job {id}"
    if await asyncio.to_thread(is_left_over, folder, listed):
        report(Progress(0, 0, "", f"is submitted again: {job} ended first"))
        return None
    if folder.cancelled:
        return StageFailed(CANCELLED.format(job))
    kind = str(folder.order["kind"])
    why = await asyncio.to_thread(cluster.why, id, listed, folder, kind)
    log = await asyncio.to_thread(_log_with_printed, folder)
    return StageFailed(why, log=str(log) if log.exists() else None)


def _log_with_printed(folder: JobFolder) -> Path:
    """The job's log, to which what its script printed is added: a module that could not
    be loaded, for instance. The folder, where that was, is removed."""
    log = log_of(folder)
    for one in (folder, *folder.group):
        with suppress(FileNotFoundError):
            if printed := one.log.read_bytes():
                log.parent.mkdir(parents=True, exist_ok=True)
                with open(log, "ab") as file:
                    file.write(printed)
                break
    return log
