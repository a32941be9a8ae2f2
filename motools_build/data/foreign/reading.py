"""The rows of a file that others wrote: JSONL, one list of JSON, or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from motools_build.data.foreign import parquet
from motools_build.data.rows.checks import DECODER, values
from motools_build.errors import DatasetError

Format = Literal["JSONL", "JSON list", "Parquet"]

MOST = 200 * 1024**2
"""Size limit of a JSON list, which is read as a whole, in bytes."""


@dataclass(frozen=True)
class Rows:
    """A file of rows in one of the formats."""

    file: Path
    place: str
    """Where it is from, for messages."""
    format: Format

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Each row with its number; of JSONL, that of its line. Raises DatasetError for
        the first that cannot be read."""
        if self.format == "JSONL":
            with self.file.open("rb") as lines:
                yield from values(lines, self.place)
            return
        try:
            rows = parquet.rows_in(self.file)
            if self.format == "JSON list":
                rows = iter(_listed(self.file, self.place))
            yield from enumerate(rows, 1)
        except DatasetError as error:
            said = str(error).removeprefix(f"{self.place}: ")
            raise DatasetError(f"{self.place}: {said}") from error


def rows_of(file: Path, place: str) -> Rows:
    """The rows of a file, by what its bytes show it to be. Raises DatasetError if that
    is none of the formats."""
    with file.open("rb") as opened:
        head = opened.read(4)
        if head == b"PAR1":
            parquet.pyarrow()
            return Rows(file, place, "Parquet")
        opened.seek(0)
        first = b""
        for line in opened:
            first = line.removeprefix(b"\xef\xbb\xbf").strip()
            if first:
                break
    if first.startswith(b"["):
        return Rows(file, place, "JSON list")
    if first.startswith(b"{") and not _is_row(first):
        _refuse_object(file, place)
    return Rows(file, place, "JSONL")


def _is_row(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _whole(file: Path, place: str) -> Any:
    if (size := file.stat().st_size) > MOST:
        raise DatasetError(
            f"{place} is one JSON value of {size:,} bytes, which is read as a whole, "
            f"and more than {MOST:,} are not: make lines of it with "
            "jq -c '.[]' FILE > datasets/rows.jsonl"
        )
    try:
        return DECODER.decode(file.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{place} is no JSON ({error}): fetch it again") from error


def _listed(file: Path, place: str) -> list[Any]:
    found = _whole(file, place)
    if not isinstance(found, list):
        raise DatasetError(f"{place} is no list of rows")
    return found


def _refuse_object(file: Path, place: str) -> None:
    """Raises DatasetError if the file is one JSON object, whose rows are in one of its
    fields; returns if it is not JSON as a whole."""
    try:
        found = _whole(file, place)
    except DatasetError:
        return  # its first line is told as that of a JSONL file
    lists = [name for name, value in found.items() if isinstance(value, list)]
    remedy = (
        f"take the rows out: jq -c '.{lists[0]}[]' FILE > datasets/rows.jsonl"
        if lists
        else "it has no list of rows"
    )
    names = ", ".join(map(repr, list(found)[:10]))
    raise DatasetError(f"{place} is one JSON object with {names}, no rows: {remedy}")
