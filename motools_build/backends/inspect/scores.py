"""Scores of one sample: which are numbers to Inspect, and how a file keeps them."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from motools_build.keys import canonical

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample, EvalScore

OURS = "motools_build/"
"""What Inspect puts before the name of a metric of `motools_build.evals`."""

CONVERTED = "Unable to convert value to float: "
"""What Inspect warns of when it counts a value as 0."""

GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""The texts that are numbers to Inspect; words in any case."""

BY_CHANCE = ("time", "working", "operator")
"""Limits that depend on the machine and who sits at it: what they ended is no answer.
The others are the task's own, and their samples count as scored."""

LIMIT = "motools_build:limit"
"""In the store of a sample whose recorded answer a limit ended: its type."""

SCORED = "scored"
"""How the name ends of a metric that counts the answers with a number, beside others of
the same function that count what became of those without."""

Name = tuple[str, str | None]
"""A scorer, and the key of one of its values if it gives several."""


@contextmanager
def conversions_watched() -> Iterator[set[str]]:
    """What Inspect could not convert meanwhile, as its warnings have it."""
    said: set[str] = set()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if message.startswith(CONVERTED):
                said.add(message.removeprefix(CONVERTED))

    logger = logging.getLogger("inspect_ai.scorer._metric")
    listener, level = Listener(logging.WARNING), logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.WARNING)  # whatever the environment asks to be shown
    try:
        yield said
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)


def number(value: Any) -> float | None:
    """A score's value as the number that Inspect takes it for; None if it is none.

    >>> number("C"), number("No"), number("0.5"), number(True)
    (1.0, 0.0, 0.5, 1.0)
    >>> number("refusal"), number("c"), number([1]), number(None)
    (None, None, None, None)
    """
    try:
        if isinstance(value, str):
            known = GRADES.get(value, WORDS.get(value.lower()))
            found = float(value) if known is None else known
            return found if math.isfinite(found) else None
        return None if value is None or math.isnan(value) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def without_package(score: EvalScore) -> EvalScore:
    """A result whose metrics of `motools_build.evals` are named without the package, as
    Inspect itself names metrics, but for those of each value of a scorer with several.
    """
    names = {name: name.removeprefix(OURS) for name in score.metrics}
    metrics = {names[name]: found for name, found in score.metrics.items()}
    return score.model_copy(update={"metrics": metrics})


def ended_by(sample: EvalSample) -> str | None:
    """The type of the limit that ended a sample; of an answer scored apart, that which
    ended it when it was asked for."""
    if sample.limit:
        return sample.limit.type
    limit = sample.store.get(LIMIT)
    return None if limit is None else str(limit)


def counting_values(sample: EvalSample) -> dict[str, Any]:
    """By scorer, a sample's values in JSON; null where it was ended by chance."""
    values = {n: s.value for n, s in sorted((sample.scores or {}).items())}
    if ended_by(sample) not in BY_CHANCE:
        return {name: as_json_value(value) for name, value in values.items()}
    return {
        name: dict.fromkeys(value) if isinstance(value, Mapping) else None
        for name, value in values.items()
    }


def is_standard_error(metric: str) -> bool:
    """Whether a metric is a standard error, by its name, as Inspect's own are:
    `stderr`, `bootstrap_stderr`."""
    return metric.endswith("stderr")


def leaf(sample: EvalSample, name: Name) -> Any:
    """A sample's value of a scorer; of one with several, that of the key."""
    score = (sample.scores or {}).get(name[0])
    value = score.value if score else None
    if isinstance(value, Mapping) and name[1] is not None:
        return value.get(name[1])
    return value


def finite(value: float) -> float | None:
    """None where JSON has no number."""
    return value if math.isfinite(value) else None


def as_json_value(value: Any) -> Any:
    """A score's value in JSON, which has no number that is not finite."""
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(name): as_json_value(item) for name, item in value.items()}
    return [as_json_value(item) for item in value]


def as_line(row: Mapping[str, Any]) -> bytes:
    """A row as canonical JSON; if that has no form for a number of it (an integer above
    2**53), as plain JSON, which keeps it."""
    try:
        return canonical(row)
    except ValueError:
        return json.dumps(row, sort_keys=True, separators=(",", ":")).encode()
