"""Makes a dataset from a model's answers: runs a task without a scorer, and turns its
log into rows."""

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
"""How many answers to one prompt are drawn from a model of this machine, until one is
not empty. A retried sample draws the same answers from the first on."""


class EmptyAnswer(EvalFailed):
    """The model's answer is empty, so there is nothing to learn from it."""

    @property
    def message(self) -> str:
        """The text that Inspect logs for the exception, instead of its `repr`."""
        return str(self)


def sampling_task(job: StageJob) -> Task:
    """The task that asks the model a job's prompts. A sample with an empty answer
    fails, and only failed samples are asked again. Raises DatasetError for an invalid
    prompt."""
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
    """Write the rows of a log in which every prompt was answered, and their provenance:
    in the prompts' order, with the answers to one prompt next to each other. Returns
    the result; its details count the `rows`, and those `cut` off at max_tokens."""
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
