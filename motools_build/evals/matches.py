"""The scorer `matches`: whether a regular expression is found in an answer."""

from __future__ import annotations

import re

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState


@scorer(metrics=[mean(), stderr()])
def matches(pattern: str) -> Scorer:
    r"""1 if the regular expression is found anywhere, otherwise 0:
    `matches(r"\d+\s*$")`.

    Raises ValueError for a pattern that is not a regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"matches: {pattern!r} is not a regular expression: {error}; escape what "
            "is meant literally"
        ) from error

    async def score(state: TaskState, target: Target) -> Score:
        found = compiled.search(state.output.completion)
        return Score(
            value=1.0 if found else 0.0, answer=found.group(0) if found else None
        )

    return score
