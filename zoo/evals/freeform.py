"""Free-form questions from a YAML file, and their judges. Plain Inspect tasks; they
also run outside the build:

    inspect eval zoo/evals/freeform.py@freeform \\
        -T file=motools_build/evals/freeform_example.yaml \\
        --model openai/MODEL --model-role grader=openai/JUDGE

Answering alone is `freeform_questions`; judging alone is the scorer `freeform_judges`.
"""

from __future__ import annotations

from inspect_ai import Task, task
from inspect_ai.scorer import Scorer, scorer

from motools_build.evals import freeform as shipped
from motools_build.evals.metrics import METRICS


@task
def freeform(file: str, questions: str | list[str] | None = None) -> Task:
    """The file's questions, or those of them with these ids, answered and judged."""
    return shipped.freeform_task(file, questions, freeform_judges(file, questions))


@task
def freeform_questions(file: str, questions: str | list[str] | None = None) -> Task:
    """The same questions, only answered."""
    return shipped.freeform_task(file, questions)


@scorer(metrics=METRICS)
def freeform_judges(
    file: str,
    questions: str | list[str] | None = None,
    role: str = "grader",
    minimum_mass: float = 0.25,
) -> Scorer:
    """Judges each answer by the prompts of its question. Declared here, too, so that
    `inspect score` finds it by this file."""
    return shipped.freeform_judges(file, questions, role, minimum_mass)
