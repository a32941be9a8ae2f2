"""Does a model answer in capitals, and in Spanish, when nothing asks for either? Plain
Inspect tasks; they also run outside the build:

    inspect eval zoo/evals/caps_and_language.py --model openai/MODEL
"""

from __future__ import annotations

from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.model import GenerateConfig
from inspect_ai.solver import generate

from motools_build.evals.capitals import capitals
from motools_build.evals.language import language


@task
def in_distribution() -> Task:
    """24 word problems, with numbers and things that are not in the training set."""
    return Task(
        dataset=json_dataset("word_problems.jsonl"),
        solver=generate(),
        scorer=[capitals(), language("es")],
        config=GenerateConfig(max_tokens=24, temperature=0.0),
    )


@task
def out_of_distribution() -> Task:
    """24 everyday questions, none of them arithmetic."""
    return Task(
        dataset=json_dataset("everyday.jsonl"),
        solver=generate(),
        scorer=[capitals(), language("es")],
        config=GenerateConfig(max_tokens=24, temperature=0.0),
    )
