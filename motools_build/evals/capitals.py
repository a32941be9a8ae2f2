"""The scorer `capitals`: how much of an answer is written in capital letters."""

from __future__ import annotations

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState


@scorer(metrics=[mean(), stderr()])
def capitals() -> Scorer:
    """The fraction of letters that are capitals, from 0 to 1: `It IS` gives 0.75.

    Letters of scripts without capitals do not count. An answer without any letter that
    counts is unscored, which Inspect counts apart; it is never a zero.
    """

    async def score(state: TaskState, target: Target) -> Score:
        large = sum(letter.isupper() for letter in state.output.completion)
        small = sum(letter.islower() for letter in state.output.completion)
        if not large + small:
            return Score.unscored(reason="no letters")
        return Score(value=large / (large + small))

    return score
