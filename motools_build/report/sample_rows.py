"""A flat row for each sample of evals, read from the logs one at a time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from motools_build.report.samples import Transcripts, as_json

SAMPLE = ("stage", "key", "status", "id", "epoch", "target", "messages", "error")
"""Columns that every row has; columns of scores follow."""


def sample_rows(
    found: Iterable[Transcripts], most: int | None = None
) -> Iterator[dict[str, Any]]:
    """A row for each matching sample, with the columns of `SAMPLE`, and for each of its
    scorers `scores.NAME.value` (`scores.NAME.value.KEY` where it gives several),
    `scores.NAME.answer` and `scores.NAME.explanation`. `most` limits each eval to its
    first samples.

    Raises ArtifactError if a log cannot be read.
    """
    for one in found:
        of_eval = {
            "stage": one.stage.name,
            "key": one.stage.key,
            "status": one.status,
        }
        for sample in one.read(most):
            told = as_json(sample)
            scores = dict(_flat(told.pop("scores"), "scores"))
            yield {**of_eval, **told, **scores}


def _flat(value: Mapping[str, Any], begin: str) -> Iterator[tuple[str, Any]]:
    """The leaves of a nested mapping, with dotted names such as
    `scores.judge.value`."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{begin}.{name}")
        else:
            yield f"{begin}.{name}", inner


@dataclass(frozen=True)
class Spooled:
    """Rows in a temporary file, so that all columns are known before the first row is
    written, and no more than one row is in memory."""

    columns: tuple[str, ...]
    real: tuple[str, ...]
    """The columns of scores whose values are all numbers or missing."""
    file: IO[bytes]

    def rows(self) -> Iterator[dict[str, Any]]:
        self.file.seek(0)
        return map(json.loads, self.file)


@contextmanager
def spooled(rows: Iterable[Mapping[str, Any]]) -> Iterator[Spooled]:
    """Rows of samples, kept in a temporary file as long as the context lasts."""
    columns: dict[str, bool] = dict.fromkeys(SAMPLE, False)
    with tempfile.TemporaryFile() as file:
        for row in rows:
            file.write(json.dumps(row).encode() + b"\n")
            for name in row.keys() - set(SAMPLE):
                is_real = row[name] is None or isinstance(row[name], (int, float))
                columns[name] = columns.get(name, True) and is_real
        names = (*SAMPLE, *sorted(columns.keys() - set(SAMPLE), key=_place))
        real = tuple(name for name in names if columns[name])
        yield Spooled(names, real, file)


def _place(name: str) -> tuple[str, ...]:
    """The order of columns of scores: by scorer, and its value before the rest."""
    return tuple("" if part == "value" else part for part in name.split("."))
