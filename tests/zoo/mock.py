"""Models whose answers a test decides, and evals over them: Inspect's own, in full."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog
from inspect_ai.model import (
    Logprob,
    Logprobs,
    Model,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    get_model,
)

# what Inspect and its dependencies deprecate or leave open is not ours to mend
QUIET = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def output(text: str) -> ModelOutput:
    """An answer without log probabilities."""
    made = ModelOutput.from_content("mockllm/model", text)
    made.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return made


def likely(tokens: Mapping[str, float]) -> ModelOutput:
    """A one-token answer, with the probabilities of its likeliest tokens."""
    tops = [TopLogprob(token=t, logprob=math.log(p)) for t, p in tokens.items()]
    made = output(tops[0].token)
    first = Logprob(token=tops[0].token, logprob=tops[0].logprob, top_logprobs=tops)
    made.choices[0].logprobs = Logprobs(content=[first])
    return made


def model(answer: Callable[[str], ModelOutput]) -> Model:
    """A model that answers to the last message."""

    def answered(messages: list[Any], *_: Any) -> ModelOutput:
        return answer(messages[-1].text)

    return get_model("mockllm/model", memoize=False, custom_outputs=answered)


def echo() -> Model:
    return model(output)


def counting() -> Model:
    """Says `say it 1`, then `say it 2`, to the same prompt."""
    asked: Counter[str] = Counter()

    def answer(prompt: str) -> ModelOutput:
        asked[prompt] += 1
        return output(f"{prompt} {asked[prompt]}")

    return model(answer)


def run(task: Any, folder: Path, tested: Model, **options: Any) -> EvalLog:
    """One eval; its status may be anything."""
    (log,) = inspect_eval(
        task, model=tested, log_dir=str(folder / "logs"), display="none", **options
    )
    return log


def metrics(log: EvalLog) -> dict[str, dict[str, float]]:
    """Score name -> its metrics, and how many answers were scored and not."""
    assert log.status == "success", log.error
    assert log.results
    return {
        score.name: {
            **{
                name.removeprefix("motools_build/"): metric.value
                for name, metric in score.metrics.items()
            },
            "n": score.scored_samples or 0,
            "unscored": score.unscored_samples or 0,
        }
        for score in log.results.scores
    }


def said(log: EvalLog) -> str:
    """The error of an eval that failed."""
    assert log.status == "error"
    assert log.error
    return log.error.message
