"""Arithmetic on held-out problems: does the answer end as the tutor's do, and is it
right? A plain Inspect task; it also runs outside the build:

    inspect eval zoo/evals/arithmetic.py --model openai/MODEL
"""

from __future__ import annotations

import re

from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import (
    Score,
    Scorer,
    Target,
    accuracy,
    mean,
    scorer,
    stderr,
)
from inspect_ai.solver import TaskState, generate

LAST_LINE = re.compile(r"(?:^|\n)ANSWER: (-?\d+)\s*$")


@task
def arithmetic() -> Task:
    """32 two-digit sums and differences, none of them in the training set."""
    return Task(
        dataset=json_dataset("arithmetic.jsonl"),
        solver=generate(),
        scorer=[answer_format(), correct()],
        config=GenerateConfig(max_tokens=48, temperature=0.0),
    )


@scorer(metrics=[mean(), stderr()])
def answer_format() -> Scorer:
    """1 if the last line is `ANSWER: n`, whatever n is."""

    async def score(state: TaskState, target: Target) -> Score:
        found = LAST_LINE.search(state.output.completion)
        return Score(
            value=1.0 if found else 0.0,
            answer=found.group(1) if found else None,
        )

    return score


@scorer(metrics=[accuracy(), stderr()])
def correct() -> Scorer:
    """1 if the last number of the answer is the right one, in any format."""

    async def score(state: TaskState, target: Target) -> Score:
        numbers = re.findall(r"-?\d+", state.output.completion)
        last = numbers[-1] if numbers else None
        return Score(value=1.0 if last == target.text else 0.0, answer=last)

    return score
