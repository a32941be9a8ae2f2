"""What a sample asks, whatever its number.

Inspect numbers samples that have no `id` by their place. In a task that shuffles them
without a seed, a number then means another question each time the task is made.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from motools_build.keys import digest_bytes

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.dataset import Sample
    from inspect_ai.log import EvalLogInfo, EvalSample

UNUSED = {"events", "error_retries"}
"""What of a recorded sample is no part of its question or answer, and takes long to
read."""


def question(sample: Sample | EvalSample) -> str:
    """A digest of what a sample asks, and of the answer that is wanted."""
    said: Any = sample.input
    if not isinstance(said, str):  # messages have identifiers, other ones each time
        said = [[message.role, message.text] for message in said]
    return digest_bytes(
        json.dumps([said, sample.choices or [], sample.target]).encode()
    )


def unnamed(samples: Iterable[Sample]) -> dict[int, tuple[str, int]]:
    """By the number that Inspect will give it, each sample without an ID: its question,
    and which one of those that ask the same it is."""
    found: dict[int, tuple[str, int]] = {}
    alike: Counter[str] = Counter()
    for number, sample in enumerate(samples, start=1):
        if sample.id is None:
            asks = question(sample)
            found[number] = asks, alike[asks]
            alike[asks] += 1
    return found


def same_questions(log: EvalLogInfo, task: Task) -> bool:
    """Whether a number means in the log what it means in the task as it was made now,
    where the numbers are Inspect's own. If not, all of it is asked anew, and told."""
    from inspect_ai.log import read_eval_log

    numbered = unnamed(task.dataset)
    if not numbered:
        return True
    try:
        answered = read_eval_log(log, resolve_attachments="core", exclude_fields=UNUSED)
    except Exception as error:  # noqa: BLE001 - said, and then asked anew
        print(f"{log.name} cannot be read ({error})", file=sys.stderr)
        return False
    same = all(
        question(sample) == numbered[int(sample.id)][0]
        for sample in answered.samples or []
        if sample.id in numbered
    )
    if not same:
        print(
            f"{log.name} is not taken up again: {task.name} asks other questions under "
            "the same numbers now. Where it shuffles, give a seed, or let samples have "
            "an id",
            file=sys.stderr,
        )
    return same
