"""An Inspect task whose solver only replays recorded answers: so a separate scorer runs
as any eval does, with retries, limits and a log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from motools_build.backends.inspect.questions import UNUSED, question
from motools_build.backends.inspect.scores import LIMIT
from motools_build.backends.job import Given, StageJob
from motools_build.errors import EvalFailed
from motools_build.params import AskParams

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.dataset import Sample
    from inspect_ai.log import EvalSample
    from inspect_ai.scorer import Scorer
    from inspect_ai.solver import Solver


Answers = Mapping[tuple[int | str, int], "EvalSample"]
"""Sample ID and epoch -> the recorded answer."""


def recorded_task(job: StageJob, scorer: Scorer) -> Task:
    """The task that scores a job's recorded samples, of all blocks of epochs.

    Raises EvalFailed if the blocks do not contain the same questions.
    """
    from inspect_ai import Epochs, Task

    blocks = sorted(
        (int(role.partition(":")[2]), given)
        for role, given in job.given.items()
        if role.startswith("samples:")
    )
    answers = {(s.id, s.epoch): s for s in _answers(blocks)}
    first = {s.id: s for s in answers.values() if s.epoch == 1}
    epochs = max(epoch for _, epoch in answers)
    _check_questions(answers, first, epochs)
    task = AskParams.of(job).task
    assert task.scorer is not None, job.name  # the caller checked
    return Task(
        name=task.function,
        dataset=[_question_of(sample) for sample in first.values()],
        solver=_repeating(answers),
        scorer=scorer,
        epochs=Epochs(epochs, list(task.scorer.reducer) or None),
    )


def _check_questions(
    answers: Answers, first: Mapping[int | str, EvalSample], epochs: int
) -> None:
    """Raises EvalFailed unless every epoch has the same questions as the first."""
    asks = {number: question(sample) for number, sample in first.items()}
    for (number, epoch), sample in answers.items():
        if number in asks and question(sample) != asks[number]:
            raise EvalFailed(
                f"sample {number} of epoch {epoch} is another question than that of "
                "epoch 1: the task makes its samples anew for each block of epochs; "
                "let it shuffle with a seed, or give each sample an id of its own"
            )
    if len(answers) != len(first) * epochs:
        raise EvalFailed(
            f"its blocks of epochs hold {len(answers)} samples, not {len(first)} x "
            f"{epochs}: the task's samples changed between them, though no file did "
            "that its key knows; declare what it reads with Eval(data=[...])"
        )


def _question_of(sample: EvalSample) -> Sample:
    """The sample as it was in its task's dataset, without the answer."""
    from inspect_ai.dataset import Sample

    return Sample(
        id=sample.id,
        input=sample.input,
        target=sample.target,
        choices=sample.choices,
        metadata=sample.metadata,
    )


def _repeating(answers: Answers) -> Solver:
    """A solver that asks no model, and sets the recorded answer instead."""
    from inspect_ai.solver import Generate, TaskState, solver

    @solver
    def recorded() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            answer = answers[state.sample_id, state.epoch]
            state.messages = answer.messages
            state.output = answer.output
            state.metadata = answer.metadata
            for name, value in answer.store.items():
                state.store.set(name, value)
            if answer.limit:
                state.store.set(LIMIT, answer.limit.type)
            state.completed = True
            return state

        return solve

    return recorded()


def _answers(blocks: Iterable[tuple[int, Given]]) -> Iterable[EvalSample]:
    """The samples of all blocks, with epochs numbered across the blocks."""
    from inspect_ai.log import read_eval_log

    for first, given in blocks:
        log = read_eval_log(
            Path(given.path) / given.details["log"],
            resolve_attachments="core",
            exclude_fields=UNUSED,
        )
        for sample in log.samples or []:
            sample.epoch += first - 1
            yield sample
