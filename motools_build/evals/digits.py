"""Numbers from 0 to 100 of a judge whose tokenizer splits them: 87 into 8 and 7.

The tokenizers of Qwen, Gemma and SmolLM2 do; those of OpenAI and of Llama 3 have one
token for each number up to 999. The first token of a judge that splits is a first
digit, and the distribution over the numbers is read digit by digit: the judge is asked
again for one token, with the digits so far as the beginning of its answer.

    0 to 9    P(d) * P(no digit | d)
    10        P(1) * P(0 | 1) * P(no digit | 10)
    11 to 99  P(first) * P(second | first)
    100       P(1) * P(0 | 1) * P(0 | 10)

These are the probabilities that an answer begins so. What follows two digits other than
10, or follows 100, is not looked at: "875" counts as 87. Beginnings with a probability
below `LEAST` are not followed, and are counted as left out. So there are at most 11
further requests for a verdict, as a rule 2 to 5.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from inspect_ai.util import collect

from motools_build.evals.verdicts import INTEGER, Tokens, Verdict, whole_numbers

LEAST = 0.01
"""The least probability of a beginning that is followed."""

DIGIT = re.compile(r"[0-9]")
SEVERAL = re.compile(r"[0-9]{2,}")
LEADING = re.compile(r"[0-9]*")

Look = Callable[[str, int], Awaitable[Tokens | Verdict]]
"""Asks for the tokens that follow a beginning of the judge's answer: its text, and the
number of tokens that the judge wrote it in. A verdict if the judge refuses."""


@dataclass
class Reading:
    """The probabilities of numbers, as far as they are read."""

    numbers: dict[int, float] = field(default_factory=dict)
    left_out: float = 0.0
    """The probability of what begins like a number, or with white space, and was not
    followed."""
    looks: int = 0
    """Requests that were made."""

    def add(self, number: int, probability: float) -> None:
        self.numbers[number] = self.numbers.get(number, 0.0) + probability


def has_numbers(tokens: Tokens) -> bool:
    """Whether one of the tokens is a number of several digits, as no tokenizer has it
    that splits numbers into digits."""
    return any(SEVERAL.fullmatch(token.strip()) for token, _ in tokens)


def may_be_digits(tokens: Tokens, minimum_mass: float, spaces: bool) -> bool:
    """Whether the tokens may be first digits of split numbers, and the verdict be
    `scored`: none is a number of several digits, and first digits have at least
    `minimum_mass`. `spaces` counts white space as well, which a number may follow."""
    if has_numbers(tokens):
        return False
    begun = math.fsum(
        p for token, p in tokens if _is_digit(token) or (spaces and _is_space(token))
    )
    return begun > 0 and begun >= minimum_mass


async def read(tokens: Tokens, look: Look, spaces: bool) -> Reading | Verdict:
    """The probabilities of the numbers, by first tokens and the looks after them; a
    verdict if a look gets one. `spaces` says whether an answer that begins with white
    space can be continued as it is."""
    reading = Reading()
    digits = _digits(tokens, "", 1.0, 1, spaces, reading)
    if spaces:
        blanks = [(text, p) for text, p in tokens if _is_space(text)]
        found = await _looked([(text, p, 1) for text, p in blanks], look, reading)
        if isinstance(found, Verdict):
            return found
        for (text, p, _), after in found:
            if has_numbers(after):
                for number, q in whole_numbers(after):
                    reading.add(number, p * q)
            else:
                digits += _digits(after, text, p, 2, spaces, reading)
            # a number after still more white space is not looked for
            reading.left_out += p * math.fsum(q for t, q in after if _is_space(t))
    else:
        reading.left_out += math.fsum(p for text, p in tokens if _is_space(text))
    found = await _looked(digits, look, reading)
    if isinstance(found, Verdict):
        return found
    tens: list[Beginning] = []
    for begun, after in found:
        tens += _second(begun, after, reading)
    found = await _looked(tens, look, reading)
    if isinstance(found, Verdict):
        return found
    for (_, p, _), after in found:
        more = [(_leading(token), q) for token, q in after]
        followed = math.fsum(q for run, q in more if run)
        reading.add(10, p * max(0.0, 1 - followed))
        reading.add(100, p * math.fsum(q for run, q in more if run == "0"))
    return reading


Beginning = tuple[str, float, int]
"""A beginning of an answer: its text, its probability, the number of its tokens."""


def _digits(
    tokens: Tokens,
    before: str,
    probability: float,
    length: int,
    spaces: bool,
    reading: Reading,
) -> list[Beginning]:
    """The first digits among the tokens that follow `before`, to be followed."""
    found = []
    for text, p in tokens:
        if not _is_digit(text):
            continue
        if text != text.strip() and not spaces:
            reading.left_out += probability * p
        else:
            found.append((before + text, probability * p, length))
    return found


def _second(begun: Beginning, after: Tokens, reading: Reading) -> list[Beginning]:
    """Counts the numbers that begin with a first digit, by the tokens after it. Returns
    the beginning 10, which a third digit may follow."""
    text, probability, length = begun
    tens, followed = [], 0.0
    for token, p in after:
        run = _leading(token)
        if not run:
            continue
        followed += p
        number = text.strip() + run
        if number == "10" and token == "0":
            tens.append((text + token, probability * p, length + 1))
        elif INTEGER.fullmatch(number):
            reading.add(int(number), probability * p)
    reading.add(int(text), probability * max(0.0, 1 - followed))
    return tens


async def _looked(
    beginnings: list[Beginning], look: Look, reading: Reading
) -> list[tuple[Beginning, Tokens]] | Verdict:
    """The tokens after each beginning that is likely enough; the others are counted as
    left out."""
    followed = [begun for begun in beginnings if begun[1] >= LEAST]
    reading.left_out += math.fsum(p for _, p, _ in beginnings if p < LEAST)
    reading.looks += len(followed)
    try:
        answers = await collect(*(look(text, length) for text, _, length in followed))
    except ExceptionGroup as several:  # one error says what to do; the others are alike
        raise several.exceptions[0] from several
    found = []
    for begun, after in zip(followed, answers, strict=True):
        if isinstance(after, Verdict):
            return after
        found.append((begun, after))
    return found


def _is_digit(token: str) -> bool:
    return bool(DIGIT.fullmatch(token.strip()))


def _leading(token: str) -> str:
    """The digits that a token begins with. A space before them ends a number."""
    match = LEADING.match(token)
    return match[0] if match else ""


def _is_space(token: str) -> bool:
    return bool(token) and not token.strip()
