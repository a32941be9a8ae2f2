"""A backend that costs nothing: uploads, models and evals, all deterministic.

For tests, demonstrations and dry rehearsals. Two environment variables change how a
job goes, and never its result:

    MOTOOLS_DUMMY_DELAY=5        seconds that each job waits
    MOTOOLS_DUMMY_FAIL=seed1     jobs fail whose stage name contains one of these
                                 words (separated by commas)
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motools_build.backends.asking import Answerer, Reply, Request
from motools_build.backends.base import Backend, checkpoint_of, planned_bytes
from motools_build.backends.inspect.outcome import SCORES
from motools_build.backends.job import Made, Progress, Report, StageJob
from motools_build.backends.prices import Prices
from motools_build.data.rows.checks import read_rows
from motools_build.errors import StageFailed
from motools_build.keys import canonical, digest_bytes
from motools_build.params import EvalParams, ModelParams

ANSWERS = "answers.json"
"""Payload file with a dummy model's weights: its possible answers, and its seed."""


QUESTIONS, COUNT, RIGHT = "questions", 24, 0.25
"""The dummy eval with single answers, whose mean so has an interval; its number of
questions, and the share of them that a model answers correctly on average."""


class DummyBackend(Backend):
    """Makes dummy models: a base model echoes the prompt, a fine-tuned one gives an
    assistant's answer from its dataset."""

    def __init__(self, prices: Prices | None = None) -> None:
        super().__init__(prices)
        self._read: dict[str, list[Any]] = {}
        """Digest -> rows; cached, since thousands of models may share a dataset."""

    async def make(self, job: StageJob, report: Report) -> Made:
        for word in filter(None, os.environ.get("MOTOOLS_DUMMY_FAIL", "").split(",")):
            if word in job.name:
                raise StageFailed(
                    f"the dummy backend was told to fail (MOTOOLS_DUMMY_FAIL={word}); "
                    "run again without that variable"
                )
        delay = float(os.environ.get("MOTOOLS_DUMMY_DELAY", "0"))
        if delay > 0 and job.kind != "upload":
            report(Progress(0, 1, "jobs", f"waits {delay:g} s"))
            await asyncio.sleep(delay)
        if job.kind == "upload":
            return self._upload(job)
        if job.kind == "model":
            return self._train(job)
        return self._evaluate(job)

    def answerer(self, weights: str | None, folder: str | None) -> Answerer:
        return DummyAnswerer(folder)

    def _upload(self, job: StageJob) -> Made:
        data = planned_bytes(job)
        return Made(f"file-dummy-{job.key[:16]}", {"bytes": len(data)})

    def _train(self, job: StageJob) -> Made:
        params, data = ModelParams.of(job), planned_bytes(job)
        digest = params.rows_digest
        if digest not in self._read:
            self._read[digest] = read_rows(params.rows_path, data)
        rows = self._read[digest]
        answers = sorted(
            {
                message["content"]
                for row in rows
                for message in row["messages"]
                if message["role"] == "assistant" and message.get("weight", 1)
            }
        )
        body = json.dumps({"answers": answers, "seed": params.seed}, indent=1)
        (Path(job.work) / ANSWERS).write_text(body)
        epochs = params.recipe.epochs
        return Made(
            f"dummy:{digest_bytes(body.encode())}",
            {"job": f"job-dummy-{job.key[:16]}", "rows": len(rows), "epochs": epochs},
        )

    def _evaluate(self, job: StageJob) -> Made:
        params, made = EvalParams.of(job), job.given.get("model")
        model = checkpoint_of(job, made) if made else params.subject.model
        if params.task.function == QUESTIONS:
            return _answered(model, Path(job.work))
        draw = digest_bytes(canonical([model, params.task.function]))
        score = int(draw[:8], 16) / 0xFFFFFFFF
        metrics = {"score": {"mean": score, "stderr": 0.0}}
        return Made(digest_bytes(canonical([score])), {"samples": 1, "scores": metrics})


def _answered(model: str, folder: Path) -> Made:
    """The result of `dummy/questions`: each model answers other questions correctly."""
    draws = [digest_bytes(canonical([model, n])) for n in range(1, COUNT + 1)]
    scores = [int(int(draw[:8], 16) / 0xFFFFFFFF < RIGHT) for draw in draws]
    lines = [
        json.dumps({"epoch": 1, "id": n, "scores": {"right": score}}) + "\n"
        for n, score in enumerate(scores, 1)
    ]
    data = "".join(lines).encode()
    (folder / SCORES).write_bytes(data)
    metrics = {"right": {"accuracy": sum(scores) / COUNT}}
    details = {"samples": COUNT, "scores": metrics}
    return Made(digest_bytes(data), details)


class DummyAnswerer:
    """Answers as a dummy model; `folder` is the fine-tune's payload, None for a
    base."""

    def __init__(self, folder: str | None) -> None:
        self._answers, self._seed = None, 0
        if folder:
            weights = json.loads((Path(folder) / ANSWERS).read_bytes())
            self._answers, self._seed = weights["answers"], weights["seed"]

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        replies = []
        for request in requests:
            prompt = request.messages[-1]["content"]
            text = answer(prompt, self._answers, self._seed)
            replies.append(Reply(text, len(prompt.split()), len(text.split()), True))
        return replies


def answer(prompt: str, answers: list[str] | None, seed: int) -> str:
    """A dummy model's answer: the prompt itself for a base model; for a fine-tuned one,
    one of `answers`, always the same for the same seed and prompt."""
    if not answers:
        return prompt
    draw = digest_bytes(f"{seed}:{prompt}".encode())
    return answers[int(draw[:8], 16) % len(answers)]
