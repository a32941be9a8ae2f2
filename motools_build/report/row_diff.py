"""Which rows of two files differ: kept, changed, added, removed or moved.

Rows are compared by digests of their bytes, so that files of a million rows are read
once and never held: in memory are 24 bytes a row, and a mapping of the rows between the
first and the last that differ.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import IO, Literal, NamedTuple

import xxhash

Word = Literal["changed", "added", "removed", "moved"]

COMPARED = 2_500
"""Largest number of pairs of rows that are compared in one place, to tell which row
was changed into which; more are paired in order."""


class Lines:
    """The rows of an open file, by number from 0. Empty lines are no rows."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digests = array("Q")
        """xxh3_64 of each row's bytes, without the end of the line."""
        self._begins = array("Q")
        self._numbers = array("Q")
        at = 0
        file.seek(0)
        for number, line in enumerate(file, 1):
            row = line.rstrip(b"\n")
            if row.strip():
                self.digests.append(xxhash.xxh3_64_intdigest(row))
                self._begins.append(at)
                self._numbers.append(number)
            at += len(line)

    def __len__(self) -> int:
        return len(self.digests)

    def number(self, row: int) -> int:
        """The number of the row's line in the file, from 1."""
        return self._numbers[row]

    def read(self, row: int) -> bytes:
        """The row's bytes, without the end of the line."""
        self._file.seek(self._begins[row])
        return self._file.readline().rstrip(b"\n")


class Event(NamedTuple):
    """A row that differs."""

    what: Word
    old: int | None
    """Its number in the old file, from 0; None if it was added."""
    new: int | None
    """Its number in the new file, from 0; None if it was removed."""


@dataclass(frozen=True)
class RowDiff:
    """The rows of two files that differ. Of rows that both have, as many as possible
    are `kept`: in the same order. The others are `moved`. What is left between two kept
    rows is `changed`, each into one that is there now, and then removed or added."""

    kept: int
    changed: Sequence[tuple[int, int]]
    """Numbers in the old and the new file, from 0; sorted by the new one."""
    moved: Sequence[tuple[int, int]]
    added: Sequence[int]
    removed: Sequence[int]

    @property
    def same(self) -> bool:
        return not (self.changed or self.moved or self.added or self.removed)

    def counts(self) -> dict[str, int]:
        """What -> number of rows."""
        return {
            "kept": self.kept,
            "changed": len(self.changed),
            "added": len(self.added),
            "removed": len(self.removed),
            "moved": len(self.moved),
        }

    def events(self) -> Iterator[Event]:
        """The rows that differ, in the order of the files."""
        yield from heapq.merge(
            (Event("changed", old, new) for old, new in self.changed),
            (Event("moved", old, new) for old, new in self.moved),
            (Event("added", None, new) for new in self.added),
            (Event("removed", old, None) for old in self.removed),
            key=lambda one: one.new if one.new is not None else one.old or 0,
        )


def row_diff(old: Lines, new: Lines) -> RowDiff:
    """Compare two files. Takes time in proportion to the rows (n log n, if most are in
    another order), and reads rows only where some were both changed and added in one
    place."""
    a, b = old.digests, new.digests
    begin, ends = _common(a, b)
    a_end, b_end = len(a) - ends, len(b) - ends
    pairs = _paired(a, b, begin, a_end, b_end)
    anchors = _rising(pairs)
    in_place = {new for _, new in anchors} if len(anchors) < len(pairs) else None
    taken_a, taken_b = bytearray(len(a)), bytearray(len(b))
    for i, j in pairs:
        taken_a[i] = taken_b[j] = 1
    changed: list[tuple[int, int]] = []
    added, removed = array("Q"), array("Q")
    alike = partial(_alike, old, new)
    at_a, at_b = begin, begin
    for i, j in [*anchors, (a_end, b_end)]:
        if i == at_a and j == at_b:  # nothing lies between
            at_a, at_b = i + 1, j + 1
            continue
        gone = [n for n in range(at_a, i) if not taken_a[n]]
        come = [n for n in range(at_b, j) if not taken_b[n]]
        couples = _couples(gone, come, alike)
        changed += couples
        if len(couples) < max(len(gone), len(come)):
            before, after = {one for one, _ in couples}, {one for _, one in couples}
            removed.extend(n for n in gone if n not in before)
            added.extend(n for n in come if n not in after)
        at_a, at_b = i + 1, j + 1
    moved = [] if in_place is None else [p for p in pairs if p[1] not in in_place]
    return RowDiff(begin + ends + len(anchors), changed, moved, added, removed)


def _common(a: Sequence[int], b: Sequence[int]) -> tuple[int, int]:
    """The number of equal rows at the beginning, and at the end after those."""
    least, begin, ends = min(len(a), len(b)), 0, 0
    while begin < least and a[begin] == b[begin]:
        begin += 1
    while ends < least - begin and a[-1 - ends] == b[-1 - ends]:
        ends += 1
    return begin, ends


def _paired(
    a: Sequence[int], b: Sequence[int], begin: int, a_end: int, b_end: int
) -> list[tuple[int, int]]:
    """Rows that both have, sorted by their number in `b`: the first of equal rows with
    the first, the second with the second."""
    first: dict[int, int] = {}
    following = array("q", bytes(8 * (a_end - begin)))
    for i in range(a_end - 1, begin - 1, -1):
        following[i - begin] = first.get(a[i], -1)
        first[a[i]] = i
    pairs = []
    for j in range(begin, b_end):
        i = first.get(b[j], -1)
        if i >= 0:
            first[b[j]] = following[i - begin]
            pairs.append((i, j))
    return pairs


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The most pairs whose numbers rise in both files: a longest increasing
    subsequence, by patience sorting."""
    if all(one[0] < two[0] for one, two in pairwise(pairs)):
        return pairs
    tops: list[int] = []
    places: list[int] = []
    before = array("q")
    for place, (i, _) in enumerate(pairs):
        pile = bisect_left(tops, i)
        before.append(places[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(i)
            places.append(place)
        else:
            tops[pile], places[pile] = i, place
    found = []
    place = places[-1]
    while place >= 0:
        found.append(pairs[place])
        place = before[place]
    return found[::-1]


def _couples(
    gone: Sequence[int], come: Sequence[int], alike: Callable[[int, int], float]
) -> list[tuple[int, int]]:
    """Pairs of a row that is gone and one that has come in its place, until one side is
    used up: the most similar first if there are more of one side, else in order."""
    if len(gone) == len(come) or len(gone) * len(come) > COMPARED:
        return list(zip(gone, come, strict=False))
    ranked = sorted(
        ((i, j) for i in gone for j in come),
        key=lambda pair: (-alike(*pair), abs(pair[0] - pair[1]), pair),
    )
    left_a, left_b = {*gone}, {*come}
    found = []
    for i, j in ranked:
        if i in left_a and j in left_b:
            left_a.remove(i)
            left_b.remove(j)
            found.append((i, j))
    return sorted(found, key=lambda pair: pair[1])


def _alike(old: Lines, new: Lines, i: int, j: int) -> float:
    """How similar two rows are, from 0 to 1: the part of their words that both have."""
    first, second = {*old.read(i).split()}, {*new.read(j).split()}
    return len(first & second) / (len(first | second) or 1)
