"""Free-form questions from a YAML file, in the format of this field, and their judges.

    inspect eval zoo/evals/freeform.py@freeform -T file=freeform_example.yaml \\
        --model openai/MODEL --model-role grader=openai/JUDGE

One sample is a paraphrase, `bored/0`; its epochs are the file's samples_per_paraphrase.
Answering alone is `freeform_questions`; judging alone is the scorer `freeform_judges`.
"""

from __future__ import annotations

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
)
from inspect_ai.scorer import Score, Scorer, Target, scorer
from inspect_ai.solver import TaskState, generate

# by file name: Inspect runs a task with the task's folder on Python's path
from judges import METRICS, check, judged
from question_files import Question, alike, selected


@task
def freeform(file: str, questions: str | list[str] | None = None) -> Task:
    """The file's questions, or those with these ids, answered and judged."""
    return _task(file, questions, freeform_judges(file, questions))


@task
def freeform_questions(file: str, questions: str | list[str] | None = None) -> Task:
    """The same questions, answered only."""
    return _task(file, questions, None)


@scorer(metrics=METRICS)
def freeform_judges(
    file: str,
    questions: str | list[str] | None = None,
    role: str = "grader",
    minimum_mass: float = 0.25,
) -> Scorer:
    """Judges each answer by the prompts of its question; judges.py has what scores and
    outcomes are."""
    asked = selected(file, questions)
    for question in asked:
        where = f"{file}: question {question.id}"
        if not question.prompts or question.type != "free_form_judge_0_100":
            raise ValueError(
                f"{where}: it is of type {question.type} with {len(question.prompts)} "
                "judge prompts, and a judge here gives numbers, by the prompts of type "
                "free_form_judge_0_100; leave it out with questions=ID,ID, or have it "
                "answered only, by freeform_questions"
            )
        for name, prompt in question.prompts.items():
            check(prompt, f"{where}, judge {name}")
    alike(asked, "judge_names", file)
    prompts = {question.id: question.prompts for question in asked}

    async def score(state: TaskState, target: Target) -> Score:
        name = state.metadata.get("question")
        if name not in prompts:
            raise ValueError(
                f"sample {state.sample_id}: its question, {name!r}, is not among those "
                f"of {file} that are judged; give the file and the questions that "
                "were answered"
            )
        return await judged(prompts[name], state, role, minimum_mass)

    return score


def _task(file: str, ids: str | list[str] | None, judges: Scorer | None) -> Task:
    asked = selected(file, ids)
    ignored = sorted({key for question in asked for key in question.ignored})
    return Task(
        dataset=MemoryDataset(
            [sample for question in asked for sample in _samples(question)]
        ),
        solver=generate(),
        scorer=judges,
        epochs=alike(asked, "samples_per_paraphrase", file),
        config=GenerateConfig(
            temperature=alike(asked, "temperature", file),
            max_tokens=alike(asked, "max_tokens", file),
        ),
        metadata={"file": file, "keys_ignored": ignored},
    )


def _samples(question: Question) -> list[Sample]:
    before: list[ChatMessage] = (
        [ChatMessageSystem(content=question.system)] if question.system else []
    )
    return [
        Sample(
            id=f"{question.id}/{index}",
            input=[*before, ChatMessageUser(content=text)],
            metadata={"question": question.id, "judge_of_file": question.judge},
        )
        for index, text in enumerate(question.paraphrases)
    ]
