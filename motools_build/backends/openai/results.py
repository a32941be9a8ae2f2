"""What a job that succeeded left at its provider besides the model."""

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
"""Payload: the training curve, the job as the API shows it."""

AGAIN = (0.5, 1.0, 2.0, 4.0)
"""Seconds after which a 404 is asked again: it may pass, and what it hides would be
missing from the artifact for good."""


async def checkpoints_of(desk: Desk, id: str) -> list[dict[str, Any]]:
    """Step, model and metrics of each, the earliest first; none where the server
    does not know the word."""
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
    """The training curve as CSV; None if the server has none any more."""
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
    """The answer; None after as many 404s as there are pauses, or one that is not the
    API's own: a server that does not know the path."""
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
    """Leave it as payload."""
    text = scrub(json.dumps(job, indent=1, ensure_ascii=False))
    (work / RAW).write_bytes(written(text))
    (work / CHECKPOINTS).write_text(json.dumps(checkpoints, indent=1))
    if curve is not None:
        (work / CURVE).write_bytes(curve)
