"""What a successful job leaves at the provider: checkpoints and the training curve."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from motools_build.backends.base import CHECKPOINTS
from motools_build.backends.openai.desk import Desk
from motools_build.backends.openai.files import is_gone, is_missing
from motools_build.errors import Refused
from motools_build.text.scrub import scrub
from motools_build.text.visible import written

T = TypeVar("T")

CURVE, RAW = "metrics.csv", "job.json"
"""Payload files: the training curve, and the job as the API shows it."""

AGAIN = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each retry after a 404. A 404 may be temporary, and without a retry
the artifact would lack the checkpoints or the curve for good."""


async def checkpoints_of(desk: Desk, id: str) -> list[dict[str, Any]]:
    """The job's checkpoints (step, model and metrics), the earliest first; empty if the
    server has no checkpoints. Raises Unreachable if the response cannot be read."""
    page = await _if_there(
        lambda: desk.ask_json(
            lambda client: client.fine_tuning.jobs.checkpoints.with_raw_response.list(
                id, limit=100
            )
        )
    )
    if page is None:
        return []
    try:
        found = [
            {
                "step": checkpoint["step_number"],
                "model": checkpoint["fine_tuned_model_checkpoint"],
                "metrics": checkpoint["metrics"],
            }
            for checkpoint in page["data"]
        ]
        return sorted(found, key=lambda checkpoint: checkpoint["step"])
    except (KeyError, TypeError) as error:
        raise desk.no_answer() from error


async def curve_of(desk: Desk, files: Any) -> bytes | None:
    """The training curve as CSV, from the job's `result_files`; None if there is none,
    or if the server no longer has the file."""
    name = files[0] if isinstance(files, list) and files else None
    if not isinstance(name, str):
        return None
    answer = await _if_there(lambda: desk.ask(lambda c: c.files.content(name)))
    if answer is None:
        return None
    data: bytes = answer.content
    if b"," in data.split(b"\n", 1)[0]:
        return data
    try:
        return base64.b64decode(data)  # as OpenAI sends it
    except ValueError:
        return data


async def _if_there(question: Callable[[], Awaitable[T]]) -> T | None:
    """The response; None if the server does not know the path, or if the API's own 404
    persists through all retries of AGAIN."""
    for pause in (*AGAIN, None):
        try:
            return await question()
        except Refused as error:
            if not is_missing(error):
                raise
            if pause is None or not is_gone(error):
                return None
            await asyncio.sleep(pause)
    return None


def write(
    work: Path,
    job: Mapping[str, Any],
    checkpoints: list[dict[str, Any]],
    curve: bytes | None,
) -> None:
    """Write the job, its checkpoints and its curve into the work folder, as payload."""
    text = scrub(json.dumps(job, indent=1, ensure_ascii=False))
    (work / RAW).write_bytes(written(text))
    (work / CHECKPOINTS).write_text(json.dumps(checkpoints, indent=1))
    if curve is not None:
        (work / CURVE).write_bytes(curve)
