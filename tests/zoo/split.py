"""A judge whose tokenizer has one token for each digit, and the exact distribution over
its numbers by brute force; servers over it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from motools_build.backends.asking import Reply, Request, Token

DIGITS = "0123456789"
VOCABULARY = (*DIGITS, " ", ".", "/", "the", "REF", "<|end|>")
PROMPT = 7
"""Tokens of the input before the judge's answer."""


@dataclass
class Split:
    """A model over VOCABULARY: the next token depends on all before it, in no simple
    way. `sharp` says how much its probabilities differ."""

    seed: int = 0
    sharp: float = 3.0
    spaces: float = 0.05
    """The probability of white space at the beginning, before all is divided by the
    sum."""
    asked: list[str] = field(default_factory=list)
    """The beginnings that were asked for."""

    def after(self, begun: str) -> dict[str, float]:
        """The probability of each token after a beginning of the answer."""
        luck = random.Random(f"{self.seed}:{begun}")
        weights = {t: math.exp(luck.gauss(0, self.sharp)) for t in VOCABULARY}
        if not begun.strip():
            weights |= {t: 0.01 * weights[t] for t in VOCABULARY[10:]}
            weights[" "] = self.spaces * sum(weights[t] for t in DIGITS)
        total = sum(weights.values())
        return {token: weight / total for token, weight in weights.items()}

    def tokens(self, begun: str) -> list[tuple[str, float]]:
        found = self.after(begun)
        return sorted(found.items(), key=lambda pair: -pair[1])

    def exact(self, before: str = "") -> dict[int, float]:
        """The probability of each number, digit by digit, after `before`."""
        return {number: self._of(str(number), before) for number in range(101)}

    def _of(self, written: str, before: str) -> float:
        found, begun = 1.0, before
        for digit in written:
            found *= self.after(begun)[digit]
            begun += digit
        if len(written) == 1 or written == "10":
            found *= 1 - sum(self.after(begun)[digit] for digit in DIGITS)
        return found

    # as a model of this machine

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        replies = []
        for request in requests:
            last = request.messages[-1]
            begun = last["content"] if last["role"] == "assistant" else ""
            self.asked.append(begun)
            top = [(t, math.log(p or 1e-99)) for t, p in self.tokens(begun)]
            top = top[: request.top_logprobs]
            token = Token(*top[0], top)
            replies.append(Reply(token.text, PROMPT + len(begun), 1, False, [token]))
        return replies
