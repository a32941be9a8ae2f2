"""What differs between two versions of a file: rows of a dataset, or lines of code."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from motools_build.report.contents import DIGEST, Contents
from motools_build.report.row_diff import Lines, Word, row_diff
from motools_build.report.row_words import Field, fields, parsed
from motools_build.store.records import Record

ROWS = (".jsonl",)
"""Ends of the names of files that are compared row by row, whatever their order."""

LARGEST = 1 << 20
"""Largest file, in bytes, of which a unified diff is made; larger ones are compared
line by line like rows, in time that grows with their lines alone."""

CONTEXT = 2
"""Lines around a change in a unified diff."""


@dataclass(frozen=True)
class RowChange:
    """A row that differs."""

    what: Word
    old_line: int | None
    """The number of its line in the old file, from 1; None if it was added."""
    new_line: int | None
    fields: tuple[Field, ...] = ()
    """What differs in a changed row; empty if its values are equal, written
    otherwise."""
    row: Any = None
    """The row, or its text if it is no JSON object; None for a changed one."""

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "old_line": self.old_line,
            "new_line": self.new_line,
            "fields": [one.as_json() for one in self.fields],
            "row": self.row,
        }


@dataclass(frozen=True)
class RowChanges:
    """The rows in which two files differ."""

    counts: Mapping[str, int]
    """`kept`, `changed`, `added`, `removed`, `moved` -> number of rows."""
    shown: tuple[RowChange, ...]
    """The first ones."""

    @property
    def left_out(self) -> int:
        """The number of rows that differ and are not shown."""
        every = sum(self.counts.values()) - self.counts["kept"]
        return every - len(self.shown)

    def as_json(self) -> dict[str, Any]:
        shown = [one.as_json() for one in self.shown]
        return {**self.counts, "shown": shown, "left_out": self.left_out}


@dataclass(frozen=True)
class FileChange:
    """A file of a stage that differs from what another artifact was made of."""

    path: str
    """Its name: a path from the project's root; the role in the key if it is not
    known."""
    was: str
    """The name that it had before; equal to `path` unless it was renamed."""
    old: str | None
    """The digest before; None if it was not there."""
    new: str | None
    """The digest now; None if it is not there."""
    rows: RowChanges | None = None
    """The rows that differ, of a dataset whose bytes are there."""
    lines: Sequence[str] = ()
    """A unified diff, of another text whose bytes are there."""
    why_not: str = field(default="")
    """Why neither can be shown."""

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "was": self.was,
            "old": self.old,
            "new": self.new,
            "rows": self.rows.as_json() if self.rows else None,
            "diff": list(self.lines),
            "why_not": self.why_not,
        }


def row_changes(old: Path, new: Path, most: int | None) -> RowChanges:
    """The rows in which two files differ; `most` limits those that are read and shown.
    Raises OSError."""
    with open(old, "rb") as old_file, open(new, "rb") as new_file:
        was, now = Lines(old_file), Lines(new_file)
        found = row_diff(was, now)
        shown = []
        for what, i, j in islice(found.events(), most):
            before = was.read(i) if i is not None else b""
            after = now.read(j) if j is not None else b""
            differ = fields(before, after) if what == "changed" else ()
            row = None if what == "changed" else parsed(after or before)
            numbers = (
                was.number(i) if i is not None else None,
                now.number(j) if j is not None else None,
            )
            shown.append(RowChange(what, *numbers, tuple(differ), row))
    return RowChanges(found.counts(), tuple(shown))


def file_change(
    role: str,
    old: str | None,
    new: str | None,
    contents: Contents,
    record: Record | None,
    names: Mapping[str, str],
    most: int | None,
) -> FileChange:
    """How a file differs from what `record` was made of, by the digests of both.
    `names` is digest -> present name."""
    had, has = contents.paths(old or ""), contents.paths(new or "")
    path = names.get(new or "") or _last(has) or ""
    was = _last(had) or ""
    path, was = path or was or role, was or path or role
    change = FileChange(path, was, old, new)
    if old is None or new is None:
        return change
    files = [contents.find(one, (*names.values(), *had, *has)) for one in (old, new)]
    if files[0] is None or files[1] is None:
        gone = old if files[0] is None else new
        why = contents.why_gone(gone, record if gone == old else None)
        return FileChange(path, was, old, new, why_not=why)
    are_rows = role == "dataset" or path.endswith(ROWS) or was.endswith(ROWS)
    if are_rows or any(file.stat().st_size > LARGEST for file in files if file):
        rows = row_changes(files[0], files[1], most)
        return FileChange(path, was, old, new, rows)
    texts = [file.read_bytes() for file in files if file]
    if any(b"\0" in text for text in texts):
        return FileChange(path, was, old, new, why_not="it is no text")
    return FileChange(path, was, old, new, lines=[*_unified(texts, was, path)])


def _last(paths: Sequence[str]) -> str | None:
    return paths[-1] if paths else None


def _unified(texts: Sequence[bytes], was: str, path: str) -> Iterator[str]:
    """The lines of a unified diff, without ends of lines."""
    old, new = (text.decode(errors="replace").splitlines() for text in texts)
    found = difflib.unified_diff(old, new, was, path, n=CONTEXT, lineterm="")
    yield from found


def changed_files(
    record: Record,
    differences: Sequence[tuple[str, Any, Any]],
    contents: Contents,
    names: Mapping[str, str],
    most: int | None,
) -> Iterator[FileChange]:
    """The files behind the fields of two keys that differ: the rows, the code and the
    data. `differences` is field, value in the key of `record`, value now."""
    for name, old, new in differences:
        place, _, role = name.partition(".")
        is_file = any(isinstance(v, str) and DIGEST.fullmatch(v) for v in (old, new))
        if place != "inputs" or not is_file or not is_source(role):
            continue
        yield file_change(role, old, new, contents, record, names, most)


def observed_files(
    record: Record, contents: Contents, most: int | None
) -> Iterator[FileChange]:
    """The files that an eval read without their being in its key, and that are not as
    they were then."""
    for name, old in record.details.get("observed", {}).items():
        now = contents.present(name)
        if name.endswith("/") or now == old or not DIGEST.fullmatch(str(old)):
            continue
        names = {now: name} if now else {}
        yield file_change(name, old, now, contents, record, names, most)


def is_source(role: str) -> bool:
    """Whether an input is a file, and not another stage's output."""
    return role.partition(":")[0] not in ("model", "samples", "base", "weights")
