"""Tokens per second of an eval of the embedded model, compared with its engine alone.

`benchmarks/evals.py` runs this as its part `engine`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence

from benchmarks.costs import Cost, median
from motools_build.running.launch.base import worker_environment

EMBEDDED = "embedded/smollm2-135m-instruct"


def engine(quick: bool) -> list[bool]:
    """Compare tokens per second with and without Inspect. Returns whether the ratio is
    at least 0.9."""
    os.environ.update(worker_environment(os.environ))
    from motools_build.serving.models import BATCH

    count, most = (BATCH, 12) if quick else (2 * BATCH, 48)
    asked = [f"Tell me a short story about {n} cats and a dog." for n in range(count)]
    alone: list[Cost] = []
    by_inspect: list[Cost] = []
    with tempfile.TemporaryDirectory() as folder:
        both: list[tuple[list[Cost], Callable[[], int]]] = [
            (by_inspect, lambda: evaluated(asked, most, folder)),
            (alone, lambda: generated(asked, most)),
        ]
        for turn in range(-1, 2 if quick else 6):
            for speeds, work in both[::-1] if turn % 2 else both:
                speeds.append(speed(work))
    # the first ones include loading the model and imports
    ours, theirs = median(by_inspect[1:]), median(alone[1:])
    ratio = ours.cpu / theirs.cpu
    print(
        f"{count} prompts of the embedded model: {ours.cpu:.0f} tokens a CPU second "
        f"against {theirs.cpu:.0f}, {ratio:.2f} x (at least 0.9); "
        f"{ours.wall:.0f} a second against {theirs.wall:.0f}, "
        f"{ours.wall / theirs.wall:.2f} x",
        flush=True,
    )
    return [ratio >= 0.9]


def speed(work: Callable[[], int]) -> Cost:
    """Tokens per CPU second and per second of wall time; `work` returns the number of
    tokens."""
    cpu, wall = time.process_time(), time.perf_counter()
    tokens = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Cost(tokens / cpu, tokens / wall)


def generated(asked: Sequence[str], most: int) -> int:
    """Number of tokens that the engine alone generates, at most `most` per prompt."""
    from motools_build.backends.embedded.engine.generate import generate
    from motools_build.backends.embedded.weights import ensure_base, load, threads
    from motools_build.serving.models import BATCH

    base = load(str(ensure_base()))
    chats = [[{"role": "user", "content": prompt}] for prompt in asked]
    prompts = [base.tokenizer.prompt(chat) for chat in chats]
    answers = []
    for first in range(0, len(prompts), BATCH):
        batch = prompts[first : first + BATCH]
        answers += generate(base, batch, max_tokens=most, threads=threads())
    for ids in answers:
        base.tokenizer.decode(ids)
    return sum(map(len, answers))


def evaluated(asked: Sequence[str], most: int, folder: str) -> int:
    """Number of tokens generated in an eval by Inspect, at most `most` per prompt."""
    from inspect_ai import Task
    from inspect_ai import eval as inspect_eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate as ask

    from motools_build.backends.inspect.running import QUIET, SERVED

    (log,) = inspect_eval(
        Task(
            dataset=[Sample(input=prompt, target="cat") for prompt in asked],
            solver=ask(),
            scorer=includes(),
            config=GenerateConfig(max_tokens=most, temperature=0.0),
        ),
        model=get_model(f"motools/{EMBEDDED}", memoize=False),
        log_dir=folder,
        **QUIET,
        max_connections=SERVED,
    )
    assert log.status == "success", log.error
    return sum(used.output_tokens for used in log.stats.model_usage.values())
