"""Formats transcripts for a terminal."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from motools_build.backends.inspect.scores import as_json_value
from motools_build.report.drawing.console import console_of
from motools_build.text.visible import shown

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample

    from motools_build.report.samples import Transcripts

WIDTH = 100
"""Greatest width of a transcript, in columns; longer lines are hard to read."""

LINES = 40
"""Most lines of a message that are shown."""


def print_transcripts(found: Transcripts, where: str, most: int, stream: Any) -> None:
    """Print the first `most` matching samples of an eval, then the number of samples
    that match `where`."""
    console = console_of(stream)
    head = f"{found.status:8} {found.stage.name}"
    if found.log is None:
        console.print(f"{head}: {found.note}")
        return
    console.print(head + (f": {found.note}" if found.note else ""))
    for sample in found.read(most):
        print_sample(sample, console)
    count = len(found.matching)
    said = f"{min(most, count)} of {count} samples shown"
    if where:
        said = f"{count} of {found.total} samples match {where}"
        said += f"; {min(most, count)} shown" if count > most else ""
    if found.without:
        said += f"; {found.without} have no value, and match no comparison"
    more = f" (all: -n {count})" if count > most else ""
    folder = found.log.parent
    console.print(f"\n{said}{more}; in full: inspect view --log-dir {folder}")


def print_sample(sample: EvalSample, console: Any) -> None:
    """Print a sample: each message under its role, then target, scores and error."""
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
    """The answer that the scorer extracted, shortened; empty if it is the whole
    completion."""
    if answer is None or answer.strip() == completion.strip():
        return ""
    line = " ".join(answer.split())
    return f"  (answer: {line if len(line) <= 60 else line[:59] + '…'})"


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _block(console: Any, width: int, heading: str, *texts: str) -> None:
    """Print a heading, and below it the texts, wrapped and indented."""
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
