"""Questions that are in training data already: near-duplicates of its turns.

Texts are compared by their words, without case and punctuation. A question counts as
trained on if a turn of a row

- has the same words;
- holds the question, or is held by it and makes up half of it: five words or more;
- has all its words in their order and a few more, or lacks a few: one in six, or one
  in a shorter text. A long word may be misspelt by a letter.

A replaced word makes another question, since that is what the slots of a template do;
so does a number more or less. docs/decisions/0025-near-duplicates.md has the evidence.

    from motools_build.data.near import near_duplicates, turns

    for found in near_duplicates(questions, turns("datasets/rows.jsonl")):
        print(found.question, found.turn.path, found.turn.line, found.similarity)
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, NamedTuple

from motools_build.data.rows.checks import values
from motools_build.errors import MissingExtra

WORD = re.compile(r"\w+|[+*/=<>^%\u00d7\u00f7\u2212]|-(?=\s*\d)")
"""A word, a number, or a sign that tells one sum from another."""

SPACELESS = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
"""Characters of languages that put no spaces between words: each counts as a word."""

LEAST_RUN = 5
"""The fewest words that count where one text holds the other."""

LEAST_NEAR = 4
"""The fewest words of a question that may have a word more or less."""

WORDS_A_CHANGE = 6
LONG_WORD = 5
"""The fewest letters of a word that may be misspelt."""

CHUNK = 64
"""Questions that are compared with all turns at once."""

Kind = Literal["same", "within", "near"]


@dataclass(frozen=True)
class Turn:
    """A turn of a row: what a model is trained on."""

    text: str
    path: str
    line: int
    role: str = "user"
    """The role, or the field's name in a row that is no chat."""


class Match(NamedTuple):
    """A question that a turn has."""

    question: int
    """The question's number in the given list, from 0."""
    turn: Turn
    kind: Kind
    """`same`: the same words; `within`: one holds the other; `near`: a few words more
    or less, or misspelt."""
    similarity: float
    """The share of words that need no change, 1 for the same words."""


def turns(path: str | Path) -> Iterator[Turn]:
    """The turns of a JSONL file's rows. Raises DatasetError for a line that is not
    JSON."""
    with open(path, "rb") as file:
        for number, row in values(file, path):
            for role, text in _texts(row):
                yield Turn(text, str(path), number, role)


def near_duplicates(asked: Sequence[str], trained: Iterable[Turn]) -> Iterator[Match]:
    """The questions that training data has, each with the turn that is most like it.

    User turns, and the fields of a row that is no chat, are compared in all ways; in
    answers and system prompts, a question counts if all of it is there. Raises
    MissingExtra if rapidfuzz is not installed.
    """
    check_installed()
    index = _Index(trained)
    for first in range(0, len(asked), CHUNK):
        some = [words(text) for text in asked[first : first + CHUNK]]
        for number, found in enumerate(index.of(some), first):
            if found is not None:
                yield Match(number, *found)


def check_installed() -> None:
    """Raises MissingExtra if rapidfuzz is not installed."""
    try:
        import rapidfuzz  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "near-duplicates are found by rapidfuzz: pip install 'motools_build[near]'"
        ) from error


def words(text: str) -> tuple[str, ...]:
    """The words of a text, as they are compared."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    if not plain.isascii():
        plain = SPACELESS.sub(r" \g<0> ", plain.replace("\u2019", "'"))
    return tuple(WORD.findall(plain.replace("'", "")))


Found = tuple[Turn, Kind, float]


class _Index:
    """The turns of training data. Each text is kept as a string with a character for
    each word, so that functions for strings compare words."""

    def __init__(self, trained: Iterable[Turn]) -> None:
        self._codes: dict[str, str] = {}
        self._words: list[tuple[str, ...]] = []
        self._turns: list[Turn] = []
        self._asked: dict[str, int] = {}  # user turns: coded text -> its first turn
        coded = []
        for turn in trained:
            of_turn = words(turn.text)
            coded.append(self._coded(of_turn))
            if turn.role not in ("assistant", "system"):
                self._asked.setdefault(coded[-1], len(self._turns))
            self._words.append(of_turn)
            self._turns.append(turn)
        self._all = "\0".join(coded)
        self._ends = list(accumulate(len(one) + 1 for one in coded))
        self._lengths = sorted({len(one) for one in self._asked})

    def _coded(self, of_text: Sequence[str]) -> str:
        codes = self._codes
        # characters of planes that have no surrogates
        return "".join(
            codes.setdefault(word, chr(0x10000 + len(codes))) for word in of_text
        )

    def of(self, questions: Sequence[tuple[str, ...]]) -> Iterator[Found | None]:
        """What is found of each question."""
        coded = [self._coded(one) for one in questions]
        found = [self._exact(one) for one in coded]
        left = [
            number
            for number, (of_one, one) in enumerate(zip(found, questions, strict=True))
            if of_one is None and len(one) >= LEAST_NEAR
        ]
        if left and self._asked:
            near = self._near([questions[i] for i in left], [coded[i] for i in left])
            for number, of_one in zip(left, near, strict=True):
                found[number] = of_one
        yield from found

    def _exact(self, coded: str) -> Found | None:
        """The turn that has the question's words, or holds it or is held by it."""
        if not coded:
            return None
        if coded in self._asked:
            return self._turns[self._asked[coded]], "same", 1.0
        if len(coded) < LEAST_RUN:
            return None
        at = self._all.find(coded)
        if at >= 0:
            number = bisect_right(self._ends, at)
            count = len(self._words[number])
            share = len(coded) / count
            return self._turns[number], "same" if share == 1 else "within", share
        for length in reversed(self._lengths):
            if max(LEAST_RUN, len(coded) / 2) <= length < len(coded):
                for first in range(len(coded) - length + 1):
                    number = self._asked.get(coded[first : first + length], -1)
                    if number >= 0:
                        return self._turns[number], "within", length / len(coded)
        return None

    def _near(
        self, questions: Sequence[tuple[str, ...]], coded: Sequence[str]
    ) -> Iterator[Found | None]:
        import numpy as np
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cdist

        there = list(self._asked)
        like = Levenshtein.normalized_similarity
        # a word more of LEAST_NEAR, or one in WORDS_A_CHANGE: never less alike
        least = 1 - 1 / LEAST_NEAR
        table = cdist(coded, there, scorer=like, score_cutoff=least, dtype=np.float32)
        for question, row in zip(questions, table, strict=True):
            alike = np.flatnonzero(row)
            best: Found | None = None
            for number in alike[np.argsort(-row[alike], kind="stable")]:
                index = self._asked[there[number]]
                if _few_changes(question, self._words[index]):
                    best = self._turns[index], "near", float(row[number])
                    break
            yield best


def _few_changes(question: Sequence[str], turn: Sequence[str]) -> bool:
    """Whether one text is the other with a few words more, or misspelt by a letter."""
    from rapidfuzz.distance import Levenshtein

    more, less, count = False, False, 0
    for change in Levenshtein.opcodes(question, turn):
        if change.tag == "equal":
            continue
        before = question[change.src_start : change.src_end]
        after = turn[change.dest_start : change.dest_end]
        count += max(len(before), len(after))
        if before and after:
            if not all(map(_misspelt, before, after)):
                return False
        elif not all(word.isalpha() for word in (*before, *after)):
            return False
        else:
            more, less = more or bool(after), less or bool(before)
    return count <= max(1, len(question) // WORDS_A_CHANGE) and not (more and less)


def _misspelt(one: str, other: str) -> bool:
    """Whether two words are one, with a letter wrong that is not the first."""
    from rapidfuzz.distance import OSA

    return (
        one[0] == other[0]
        and max(len(one), len(other)) >= LONG_WORD
        and (one + other).isalpha()
        and OSA.distance(one, other, score_cutoff=1) == 1
    )


def _texts(row: Any) -> Iterator[tuple[str, str]]:
    """Role and text of each turn of a chat, a pair of answers, or another row."""
    if not isinstance(row, dict):
        return
    asked = row.get("input")
    turns = [
        *_list(row.get("messages")),
        *_list(asked.get("messages") if isinstance(asked, dict) else None),
        *_list(row.get("preferred_output")),
        *_list(row.get("non_preferred_output")),
    ]
    if not turns:
        yield from ((key, text) for key, text in row.items() if isinstance(text, str))
    for turn in turns:
        if isinstance(turn, dict):
            yield str(turn.get("role")), text_of(turn.get("content"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def text_of(content: Any) -> str:
    """The text of a turn: a string, or the texts among its parts."""
    if isinstance(content, str):
        return content
    parts = (part.get("text") for part in _list(content) if isinstance(part, dict))
    return "\n".join(part for part in parts if isinstance(part, str))
