"""The files that a transform reads and writes."""

from __future__ import annotations

import json
from array import array
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from motools_build.data import DATA, PROVENANCE
from motools_build.data.rows.chat import named
from motools_build.data.rows.checks import DECODER, Row
from motools_build.data.rows.lines import other_file, unread
from motools_build.data.source import Source
from motools_build.errors import DatasetError

MARK = b"\xef\xbb\xbf"


class Rows:
    """The rows of a file by index, from 0. Takes 8 bytes of memory for each row, and 8
    for its provenance.

    Blank lines are not rows. A byte order mark is removed.
    """

    def __init__(self, source: Source, stack: ExitStack) -> None:
        self.source = source
        self._data = _Lines(Path(source.path), stack)
        self._origins = _Lines(source.sidecar(), stack) if source.derived else None
        if self._origins and len(self._origins) != len(self._data):
            raise DatasetError(
                f"{source.path} has {len(self._data)} rows, its {PROVENANCE} "
                f"{len(self._origins)}: remove their folder, and run again"
            )

    def __len__(self) -> int:
        return len(self._data)

    def line(self, index: int) -> bytes:
        """A row's bytes, with its line end, if any."""
        return self._data.line(index).removeprefix(MARK if index == 0 else b"")

    def row(self, index: int) -> Row:
        """A row as JSON. Raises DatasetError, with file and line, if it is no JSON
        object."""
        line = self.line(index)
        try:
            row = DECODER.decode(line.decode())
        except (ValueError, RecursionError) as error:
            other = other_file(line) if index == 0 else None
            self.refuse(index, other or unread(line, error))
        if not isinstance(row, dict):
            self.refuse(index, f"a row is a JSON object, not {named(row)}")
        return row

    def origin(self, index: int) -> bytes:
        """A row's line of provenance, as bytes with a line end."""
        if self._origins:
            return self._origins.line(index)
        number = self._data.number(index)
        return b'{"source": "%b", "line": %d, "applied": []}\n' % (
            self.source.digest.encode(),
            number,
        )

    def refuse(self, index: int, problem: str) -> NoReturn:
        """Raises a DatasetError that names the file and line a row comes from."""
        raise DatasetError(self.problem(index, problem))

    def problem(self, index: int, problem: str) -> str:
        """A problem, prefixed with the file and line that its row comes from. For a row
        of a derived dataset, those are where the row was first read."""
        origin = json.loads(self.origin(index))
        path = self.source.paths.get(origin["source"], self.source.path)
        after = f", after {' and '.join(origin['applied'])}" * bool(origin["applied"])
        return f"{path}:{origin['line']}{after}: {problem}"


class _Lines:
    """The lines of a file that are not blank, by index from 0."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._file = stack.enter_context(path.open("rb"))
        self._starts = array("Q")
        self._numbers = array("Q")
        """Line numbers of the rows after the first blank line; before it, a row's line
        number is its index + 1."""
        self._at = 0
        self._last = (-1, b"")
        for number, line in enumerate(self._file, 1):
            text = line.removeprefix(MARK) if number == 1 else line
            if text.strip():
                if self._numbers or number > len(self._starts) + 1:
                    self._numbers.append(number)
                self._starts.append(self._at)
            self._at += len(line)

    def __len__(self) -> int:
        return len(self._starts)

    def line(self, index: int) -> bytes:
        if self._last[0] != index:
            start = self._starts[index]
            if start != self._at:
                self._file.seek(start)
            line = self._file.readline()
            self._at = start + len(line)
            self._last = (index, line)
        return self._last[1]

    def number(self, index: int) -> int:
        """A row's line number in the file, from 1, counting blank lines."""
        before = len(self._starts) - len(self._numbers)
        return index + 1 if index < before else self._numbers[index - before]


class Out:
    """The files that a transform writes: rows and their provenance."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        data, origins = folder / DATA, folder / PROVENANCE
        self._data = stack.enter_context(data.open("wb"))
        self._origins = stack.enter_context(origins.open("wb"))
        self._open = False
        self.rows = 0
        self.changed = 0

    def carry(self, rows: Rows, index: int) -> None:
        """Write a row unchanged."""
        self._write(rows.line(index), rows.origin(index))

    def change(self, rows: Rows, index: int, row: Row, word: str) -> None:
        """Write `row`, which the transform `word` made of the row at `index`. Raises
        DatasetError if it cannot be written as JSON."""
        try:
            line = written(row).encode()
        except (TypeError, ValueError, RecursionError) as error:
            rows.refuse(index, f"{word} gives what cannot be written: {error}")
        end = b"\r\n" if rows.line(index).endswith(b"\r\n") else b"\n"
        self._write(line + end, _applied(rows.origin(index), word))
        self.changed += 1

    def _write(self, line: bytes, origin: bytes) -> None:
        # A file's last line may lack a line end, and other rows may follow it here.
        self._data.write(b"\n" + line if self._open else line)
        self._origins.write(origin)
        self._open = not line.endswith(b"\n")
        self.rows += 1


def _applied(origin: bytes, word: str) -> bytes:
    """A line of provenance with one more transform under `applied`."""
    before = origin.removesuffix(b"]}\n")
    if before == origin:  # a teacher's line has more fields after `applied`
        told = json.loads(origin)
        return written({**told, "applied": [*told["applied"], word]}).encode() + b"\n"
    comma = b"" if before.endswith(b"[") else b", "
    return b'%b%b"%b"]}\n' % (before, comma, word.encode())


def written(row: Any) -> str:
    """A row as JSON. Raises TypeError or ValueError for a value that JSON cannot
    hold."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False)
