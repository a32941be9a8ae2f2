"""What is said of a running stage: its name, shortened to fit the width of a terminal,
its progress in words, and the progress lines where there is no terminal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motools_build.backends.job import Progress

SHORTEST = 4
"""Least length of a part of a name that is shortened, in characters."""
LEFT_OUT = "…"

EVERY, EVERY_OF_LONG = 10.0, 60.0
"""Seconds between a stage's progress lines if the output is not a terminal: at first,
and after `LONG` seconds."""
LONG = 600.0
WORDS = 5
"""Most lines of a stage without a count that are shown as they come."""
MANY = 8
"""Most stages under way that have progress lines of their own."""


def words(progress: Progress, most: int | None = None) -> str:
    """`12/48 steps, loss 0.123`; the note alone if nothing is counted. Cut to `most`
    characters, if a number is given."""
    counted = f"{progress.done}/{progress.total} {progress.unit}"
    parts = (counted if progress.unit else "", progress.note)
    said = ", ".join(filter(None, parts))
    return said if most is None or len(said) <= most else said[: most - 1] + LEFT_OUT


def short_names(names: Sequence[str], width: int) -> list[str]:
    """Stage names shortened to a width, so that they still differ from each other:
    `eval:…/seed0/score` and `eval:…/seed1/score`.

    A name is shortened in steps until it fits. First, parts that all names share are
    left out (of a single name, the model and the setting); then the common beginnings
    and ends of a part; then the middle of long parts.
    """
    kinds = [name.partition(":")[0] for name in names]
    split = [name.partition(":")[2].split("/") for name in names]
    return [
        _short(kind, parts, split, width)
        for kind, parts in zip(kinds, split, strict=True)
    ]


def _short(
    kind: str, parts: Sequence[str], every: Sequence[Sequence[str]], width: int
) -> str:
    kept = list(parts)
    alone = len(every) == 1
    # in this order: the model, the setting, what follows the model, the dataset
    order = [2, 0] if alone else [2, 0, *range(3, len(parts)), 1]
    for place in order:
        text = _joined(kind, kept)
        if len(text) <= width:
            return text
        if place < len(parts) and all(parts[place] in other for other in every):
            kept[place] = LEFT_OUT
    for place, part in enumerate(kept):
        if len(_joined(kind, kept)) > width and part != LEFT_OUT:
            kept[place] = _differing(part, {o[place] for o in every if place < len(o)})
    text = _joined(kind, kept)
    for most in range(max(map(len, kept)), SHORTEST - 1, -1):
        if len(text) <= width:
            break
        text = _joined(kind, [_middle_out(part, most) for part in kept])
    return text[: width - 1] + LEFT_OUT if len(text) > width else text


def _differing(part: str, every: Collection[str]) -> str:
    """A part without the beginning and the end that all names share in this place."""
    if len(every) < 2:
        return part
    begin = _alike(every)
    rest = [other[begin:] for other in every]
    end = _alike([other[::-1] for other in rest])
    front = LEFT_OUT if begin > 1 else part[:begin]
    back = LEFT_OUT if end > 1 else part[len(part) - end :]
    return front + part[begin : len(part) - end] + back


def _alike(texts: Collection[str]) -> int:
    """The length of the beginning that all texts share."""
    return len(commonprefix(list(texts)))  # noqa: RUF071 - letters are what is meant


def _middle_out(part: str, most: int) -> str:
    if len(part) <= most:
        return part
    front = (most - 1) // 2
    return part[:front] + LEFT_OUT + part[len(part) - (most - 1 - front) :]


def _joined(kind: str, parts: Sequence[str]) -> str:
    """The name of these parts, with one ellipsis for adjacent parts that are left
    out."""
    kept = [
        part
        for number, part in enumerate(parts)
        if not (part == LEFT_OUT and number and parts[number - 1] == LEFT_OUT)
    ]
    return f"{kind}:{'/'.join(kept)}"


class Lines:
    """Chooses the progress that is shown where there is no terminal, so that neither
    many stages nor a long run flood a file."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, str]] = {}
        """Stage name -> when its last line was shown, and its last line."""
        self._first: dict[str, float] = {}
        """Stage name -> when its first line was shown."""
        self._words: Counter[str] = Counter()
        """Stage name -> number of its lines without a count."""
        self._worded = 0.0
        """When the last line without a count was shown, of any stage."""

    @staticmethod
    def many(running: int) -> bool:
        """Whether so many stages run that one line about all of them stands for lines
        about each."""
        return running > MANY

    def of(self, name: str, progress: Progress, running: int = 1) -> str:
        """The line of a stage, empty if none is due; `running` is the number of stages
        under way. The first and the last count are shown at once, as are the first
        words without a count."""
        if self.many(running):
            return ""
        now, text = time.monotonic(), words(progress)
        when, before = self._said.get(name, (-EVERY, ""))
        first = self._first.setdefault(name, now)
        waited = now - when >= (EVERY if now - first < LONG else EVERY_OF_LONG)
        if progress.done:
            due = progress.done == progress.total or waited
        else:
            few = self._words[name] < WORDS
            due = text != before and (few or (waited and now - self._worded >= EVERY))
            self._words[name] += due
            self._worded = now if due else self._worded
        if not due:
            return ""
        self._said[name] = (now if progress.done else when), text
        return text
