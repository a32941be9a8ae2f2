"""A dataset of a model's answers: a task without a scorer, whose log becomes rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.backends.job import Made, StageJob
from motools_build.data import DATA, PROVENANCE
from motools_build.data.prompts import Turns, read_prompts
from motools_build.errors import EvalFailed
from motools_build.keys import digest_file
from motools_build.params import LessonParams
from motools_build.text.visible import whole

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalSample


DRAWS = 8
"""Answers that a model of this machine may give to one prompt, until one has words. A
sample that is tried again begins with the first of them again."""


class EmptyAnswer(EvalFailed):
    """There is nothing to learn from it."""

    @property
    def message(self) -> str:
        """What Inspect writes down of an exception, which else is its `repr`."""
        return str(self)


def sampling_task(job: StageJob) -> Task:
    """The task of asking a job's prompts. An empty answer is a failed sample, which is
    asked again, alone. Raises DatasetError for a prompt that is none."""
    from inspect_ai import Task
    from inspect_ai.dataset import Sample
    from inspect_ai.model import (
        ChatMessage,
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
    )
    from inspect_ai.solver import Generate, Solver, TaskState, solver

    kinds: Mapping[str, Any] = {
        "system": ChatMessageSystem,
        "user": ChatMessageUser,
        "assistant": ChatMessageAssistant,
    }
    lesson = LessonParams.of(job).task
    path, system = lesson.prompts_path, lesson.system
    tries = 1 if job.accounts else DRAWS

    def asked(turns: Turns) -> list[ChatMessage]:
        said = [{"role": "system", "content": system}] if system else []
        return [kinds[t["role"]](content=t["content"]) for t in (*said, *turns)]

    @solver
    def answered() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            turns = list(state.messages)
            for _ in range(tries):
                state.messages = list(turns)
                state = await generate(state)
                if state.output.completion.strip():
                    return state
            raise EmptyAnswer(
                f"the answer to {path}:{state.sample_id} is empty "
                f"({state.output.stop_reason}); leave the prompt out if it stays so"
            )

        return solve

    prompts = read_prompts(path, system)
    return Task(
        name="sampled",
        dataset=[Sample(id=n, input=asked(turns)) for n, turns in prompts.items()],
        solver=answered(),
    )


def write_rows(
    samples: Iterable[EvalSample], job: StageJob, work: Path, details: dict[str, Any]
) -> Made:
    """The rows of a log in which every prompt was answered: in the prompts' order, the
    answers to one prompt next to each other."""
    lesson = LessonParams.of(job).task
    prompts = read_prompts(lesson.prompts_path, lesson.system)
    rows = sorted(samples, key=lambda sample: (int(sample.id), sample.epoch))
    cut = 0
    with (
        open(work / DATA, "w", encoding="utf-8", newline="\n") as data,
        open(work / PROVENANCE, "w", encoding="utf-8", newline="\n") as origins,
    ):
        for sample in rows:
            line, answer = int(sample.id), sample.output
            said = {"role": "assistant", "content": whole(answer.completion)}
            _write(data, {"messages": [*prompts[line], said]})
            source = lesson.prompts_digest
            origin = {"source": source, "line": line, "applied": ["sampled"]}
            ended = answer.stop_reason
            _write(origins, {**origin, "draw": sample.epoch, "ended": ended})
            cut += ended == "max_tokens"
    return Made(digest_file(work / DATA), {**details, "rows": len(rows), "cut": cut})


def _write(file: Any, value: Any) -> None:
    file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
