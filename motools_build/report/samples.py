"""Transcripts of an eval: which samples, and how they read on a terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from motools_build.backends.inspect.outcome import SCORES
from motools_build.backends.inspect.scores import as_json_value
from motools_build.errors import ArtifactError
from motools_build.report.results import Older, status_of
from motools_build.report.where import Scores, Where
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.text.visible import shown

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample

WIDTH = 100
"""Columns of a transcript at most; longer lines read badly."""
LINES = 40
"""Of a message, before the rest is left out."""
UNREADABLE = (OSError, ValueError, LookupError, BadZipFile)
"""What a log that was cut off or changed raises."""

Name = tuple[int | str, int]
"""A sample's id and epoch."""


@dataclass(frozen=True)
class Transcripts:
    """An eval's samples that were asked for."""

    stage: Stage
    status: str
    note: str
    """Why there is none, or that they are of an eval that failed."""
    log: Path | None = None
    total: int = 0
    matching: tuple[Name, ...] = ()
    without: int = 0
    """Samples that match nothing, as they have no value to compare."""

    def read(self, most: int) -> Iterator[EvalSample]:
        """The first of the samples that match, one by one. Raises ArtifactError."""
        from inspect_ai.log import read_eval_log_sample

        for id, epoch in self.matching[:most]:
            try:
                yield read_eval_log_sample(
                    self.log or "", id, epoch, resolve_attachments=True
                )
            except UNREADABLE as error:
                raise _unreadable(self.log, error) from error


def transcripts(
    stage: Stage, store: ArtifactStore, where: Where, older: Older
) -> Transcripts:
    """What there is of an eval, and which of its samples match.

    Of an eval that failed, the log that it left in its work folder.
    """
    status, note = status_of(stage, store, older)
    record = store.get(stage) if status == "ok" else None
    if record:
        if "log" not in record.details:
            return Transcripts(stage, status, "a dummy eval: it has no transcripts")
        folder = store.folder(stage)
        lines = (folder / SCORES).read_bytes().splitlines()
        rows = [json.loads(line) for line in lines]
        scored = {(row["id"], row["epoch"]): row["scores"] for row in rows}
        log = folder / record.details["log"]
    else:
        kept = list((store.root / "work" / stage.key).glob("*.eval"))
        if status != "failed" or not kept:
            return Transcripts(stage, status, note)
        log = max(kept, key=lambda path: path.stat().st_mtime)
        note = f"the eval failed, and these samples count for nothing: {note}"
        scored = _summarised(log)
    names = sorted(scored, key=lambda name: (str(name[0]), name[1]))
    found, without = where.matching(scored[name] for name in names)
    matching = tuple(names[position] for position in found)
    return Transcripts(stage, status, note, log, len(scored), matching, without)


def _summarised(log: Path) -> dict[Name, Scores]:
    from inspect_ai.log import read_eval_log_sample_summaries

    try:
        summaries = read_eval_log_sample_summaries(log)
    except UNREADABLE as error:
        raise _unreadable(log, error) from error
    return {
        (one.id, one.epoch): {n: s.value for n, s in (one.scores or {}).items()}
        for one in summaries
    }


def _unreadable(log: Path | None, error: Exception) -> ArtifactError:
    return ArtifactError(
        f"{log} cannot be read ({type(error).__name__}: {error}); run the eval again "
        "(first `doit verify --repair`, if it counted as made)"
    )


def as_json(sample: EvalSample) -> dict[str, Any]:
    """A sample as `--json` says it; a score that is not a number is null."""
    return {
        "id": sample.id,
        "epoch": sample.epoch,
        "target": sample.target,
        "messages": [
            message.model_dump(mode="json", exclude_none=True)
            for message in sample.messages
        ],
        "scores": {
            name: {
                "value": as_json_value(score.value),
                "answer": score.answer,
                "explanation": score.explanation,
            }
            for name, score in sorted((sample.scores or {}).items())
        },
        "error": sample.error.message if sample.error else None,
    }


def print_sample(sample: EvalSample, console: Any) -> None:
    """A sample for people: each message under its role, then target and scores."""
    width = min(console.width, WIDTH)
    head = f"── sample {sample.id}, epoch {sample.epoch} "
    console.print()
    console.print(shown(head) + "─" * max(0, width - len(head)), width=width)
    for message in sample.messages:
        parts = [message.role, message.text]
        for call in getattr(message, "tool_calls", None) or ():
            asked = json.dumps(call.arguments, ensure_ascii=False)
            parts.append(f"-> {call.function} {asked}")
        _block(console, width, *parts)
    target = sample.target
    wanted = target if isinstance(target, str) else ", ".join(target)
    if wanted:
        _block(console, width, "target", wanted)
    for name, score in sorted((sample.scores or {}).items()):
        value = as_json_value(score.value)
        said = "no value" if value is None else f"{_said(value)}"
        if isinstance(score.value, float) and math.isinf(score.value):
            said = str(score.value)
        answer = _answer(score.answer, sample.output.completion)
        _block(console, width, f"{name}: {said}{answer}", score.explanation or "")
    if sample.error:
        _block(console, width, "error", sample.error.message)


def _answer(answer: str | None, completion: str) -> str:
    """What the scorer took for the answer, if that is not all that the model said."""
    if answer is None or answer.strip() == completion.strip():
        return ""
    line = " ".join(answer.split())
    return f"  (answer: {line if len(line) <= 60 else line[:59] + '…'})"


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _block(console: Any, width: int, heading: str, *texts: str) -> None:
    """A heading, and what belongs to it, wrapped and indented."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(shown(heading), style="bold"), width=width)
    said = [text.rstrip().replace("\r\n", "\n") for text in texts if text]
    lines = [line for text in said for line in text.split("\n")]
    first = "\n".join(lines[:LINES])
    if first:
        console.print(Padding.indent(Text(shown(first)), 4), width=width)
    if len(lines) > LINES:
        more = f"... {len(lines) - LINES} more lines (--json has them)"
        console.print(Padding.indent(Text(more, style="dim"), 4), width=width)
