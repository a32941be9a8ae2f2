"""Free-form questions from a question file, and their judges.

A task and a scorer of your own are a few lines, as in the zoo's freeform.py:

    @task
    def asked(file: str) -> Task:
        return freeform_task(file, scorer=freeform_judges(file))

One sample is a paraphrase, `bored/0`; its epochs are the file's samples_per_paraphrase.
"""

from __future__ import annotations

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
)
from inspect_ai.scorer import Score, Scorer, Target, scorer
from inspect_ai.solver import TaskState, generate

from motools_build.evals.judges import check, judged
from motools_build.evals.metrics import METRICS
from motools_build.evals.question_files import alike, selected
from motools_build.evals.questions import Question


def freeform_task(
    file: str, questions: str | list[str] | None = None, scorer: Scorer | None = None
) -> Task:
    """A task that asks the questions of a file, or those of them with these ids.

    Without a scorer the questions are only answered. Raises ValueError for a file that
    is not there, and for a question that cannot be asked as it is declared.
    """
    asked = selected(file, questions)
    ignored = sorted({key for question in asked for key in question.ignored})
    return Task(
        dataset=MemoryDataset(
            [sample for question in asked for sample in _samples(question)]
        ),
        solver=generate(),
        scorer=scorer,
        epochs=alike(asked, "samples_per_paraphrase", file),
        config=GenerateConfig(
            temperature=alike(asked, "temperature", file),
            max_tokens=alike(asked, "max_tokens", file),
        ),
        metadata={"file": file, "keys_ignored": ignored},
    )


@scorer(metrics=METRICS)
def freeform_judges(
    file: str,
    questions: str | list[str] | None = None,
    role: str = "grader",
    minimum_mass: float = 0.25,
) -> Scorer:
    """Judges each answer by the prompts that the file has for its question.

    `questions` are the ids of those that were asked. Raises ValueError for a question
    whose judges cannot be honoured; `judges` says what the scores and outcomes are.
    """
    asked = selected(file, questions)
    for question in asked:
        where = f"{file}: question {question.id}"
        if not question.prompts or question.type != "free_form_judge_0_100":
            raise ValueError(
                f"{where}: it is of type {question.type} with {len(question.prompts)} "
                "judge prompts, and a judge here gives numbers, by the prompts of type "
                "free_form_judge_0_100; leave it out with questions=ID,ID, or have it "
                "answered only, without a scorer"
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
