"""Transcripts of an eval as data: its samples, and those that match a condition."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.backends.inspect.outcome import SCORES
from motools_build.backends.inspect.scores import as_json_value
from motools_build.errors import ArtifactError, in_words
from motools_build.report.status import Statuses, Word
from motools_build.report.where import Scores, Where
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.text import hints

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessage

Name = tuple[int | str, int]
"""A sample's ID and epoch."""


@dataclass(frozen=True)
class Transcripts:
    """The samples of an eval that match a condition. Their messages stay in the log,
    and are read one sample at a time."""

    stage: Stage
    status: Word
    note: str
    """Why there are no samples, or that they come from a failed eval."""
    log: Path | None = None
    """The Inspect log; None if there is none."""
    total: int = 0
    """Number of all samples of the eval."""
    matching: tuple[Name, ...] = ()
    """The samples that match `--where`, by ID and epoch."""
    without: int = 0
    """Number of samples that match nothing because they have no value to compare."""
    scores: Mapping[Name, Scores] = field(default_factory=dict)
    """The scores of every sample."""

    def read(self, most: int | None = None) -> Iterator[EvalSample]:
        """The first `most` samples that match, or all of them.

        Raises ArtifactError if the log cannot be read.
        """
        for name in self.matching[:most]:
            yield self.sample(name)

    def sample(self, name: Name) -> EvalSample:
        """One of the samples. Raises ArtifactError if the log cannot be read."""
        from inspect_ai.log import read_eval_log_sample

        try:
            return read_eval_log_sample(self.log or "", *name, resolve_attachments=True)
        except Exception as error:  # Inspect and its decompressors raise many
            raise _unreadable(self.stage, self.status, self.log, error) from error

    def questions(self) -> dict[int | str, str]:
        """The input of each sample by its ID, shortened by Inspect. Raises
        ArtifactError if the log cannot be read."""
        from inspect_ai.log import read_eval_log_sample_summaries

        if self.log is None:
            return {}
        try:
            summaries = read_eval_log_sample_summaries(self.log)
        except Exception as error:  # Inspect and its decompressors raise many
            raise _unreadable(self.stage, self.status, self.log, error) from error
        return {one.id: in_one_text(one.input) for one in summaries}

    def as_json(self, most: int | None = None) -> dict[str, Any]:
        """What `doit samples --json` prints for the eval."""
        return {
            "stage": self.stage.name,
            "key": self.stage.key,
            "status": self.status,
            "note": self.note,
            "log": str(self.log) if self.log else None,
            "samples": self.total,
            "matching": len(self.matching),
            "without value": self.without,
            "shown": [as_json(sample) for sample in self.read(most)],
        }


def transcripts(
    stage: Stage,
    store: ArtifactStore,
    where: Where | None = None,
    statuses: Statuses | None = None,
) -> Transcripts:
    """The samples of an eval that match `where`; without it, all. For a failed eval,
    they come from the log that it left in its work folder.

    Raises ArtifactError if the scores or that log cannot be read.
    """
    status = (statuses or Statuses(store)).of(stage)
    word, note = status.word, status.why
    if word == "ok" and status.record:
        if "log" not in status.record.details:
            return Transcripts(stage, word, "a dummy eval: it has no transcripts")
        folder = store.materialise(stage)
        scored = _scored(stage, folder / SCORES)
        log = folder / status.record.details["log"]
    else:
        kept = list(store.unfinished(stage).glob("*.eval"))
        if word != "failed" or not kept:
            return Transcripts(stage, word, note)
        log = max(kept, key=lambda path: path.stat().st_mtime)
        note = f"the eval failed, and these samples count for nothing: {note}"
        scored = _summarised(stage, log)
    names = sorted(scored, key=lambda name: (str(name[0]), name[1]))
    found, without = (where or Where()).matching(scored[name] for name in names)
    matching = tuple(names[position] for position in found)
    total = len(scored)
    return Transcripts(stage, word, note, log, total, matching, without, scored)


def in_one_text(asked: str | Sequence[ChatMessage]) -> str:
    """A sample's input as text: of several messages, each after its role."""
    if isinstance(asked, str):
        return asked
    if len(asked) == 1:
        return asked[0].text
    return "\n\n".join(f"{message.role}: {message.text}" for message in asked)


def _scored(stage: Stage, file: Path) -> dict[Name, Scores]:
    """The scores of each sample, from the scores file of an eval that counts as
    made."""
    try:
        rows = [json.loads(line) for line in file.read_bytes().splitlines()]
        return {(row["id"], index(row["epoch"])): {**row["scores"]} for row in rows}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _unreadable(stage, "ok", file, error) from error


def _summarised(stage: Stage, log: Path) -> dict[Name, Scores]:
    """The scores of each sample, from the log that a failed eval left."""
    from inspect_ai.log import read_eval_log_sample_summaries

    try:
        summaries = read_eval_log_sample_summaries(log)
    except Exception as error:  # Inspect and its decompressors raise many
        raise _unreadable(stage, "failed", log, error) from error
    return {
        (one.id, one.epoch): {n: s.value for n, s in (one.scores or {}).items()}
        for one in summaries
    }


def _unreadable(
    stage: Stage, status: Word, file: Path | None, error: Exception
) -> ArtifactError:
    """The error for a file of an eval. One that counts as made is set aside first,
    because a run does not make it again."""
    first = "`doit verify --repair` sets it aside, then " if status == "ok" else ""
    return ArtifactError(
        f"{stage.name}: {file} cannot be read ({in_words(error)}); {first}run again: "
        f"{hints.command('run', stage.name)}"
    )


def as_json(sample: EvalSample) -> dict[str, Any]:
    """A sample as `--json` has it; a score that is not a number is null."""
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
