"""Rows as CSV: of results, comparisons, means or samples."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from motools_build.text.visible import shown


def csv_of(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows under a header line, as a text."""
    text = io.StringIO()
    write_csv(text, columns, rows)
    return text.getvalue()


def write_csv(
    stream: Any, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write the rows to a stream of text, under a header line. A missing value is an
    empty field, and a list or a mapping is JSON."""
    writer = csv.DictWriter(_Shown(stream), columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_plain, rows))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value, ensure_ascii=False)
        if isinstance(value, (list, dict))
        else value
        for name, value in row.items()
    }


class _Shown:
    """A stream of text in which control characters are visible."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(shown(text))
        return len(text)
