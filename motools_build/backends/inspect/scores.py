"""Scores of a sample: which values Inspect reads as numbers, and their form in JSON."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample, EvalScore

OURS = "motools_build/"
"""Inspect's prefix of the names of metrics of `motools_build.evals`."""

CONVERTED = "Unable to convert value to float: "
"""Beginning of Inspect's warning that it counts a value as 0."""

GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""The texts that Inspect reads as numbers; GRADES exactly, WORDS in any case."""

BY_CHANCE = ("time", "working", "operator")
"""Types of limits that depend on the machine and its operator: a sample that one of
them ended has no valid answer. All other limits are the task's own, and samples that
they ended count as scored."""

LIMIT = "motools_build:limit"
"""Entry in the store of a sample whose recorded answer a limit ended: the limit's
type."""

SCORED = "scored"
"""Suffix of the name of a metric that counts the answers with a number; other metrics
of the same function count what became of the answers without one."""

Name = tuple[str, str | None]
"""(scorer, key): the key of one of the scorer's values, None if it gives only one."""


@contextmanager
def conversions_watched() -> Iterator[set[str]]:
    """Collects the values that Inspect could not convert to numbers within the context,
    as its warnings show them."""
    said: set[str] = set()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if message.startswith(CONVERTED):
                said.add(message.removeprefix(CONVERTED))

    logger = logging.getLogger("inspect_ai.scorer._metric")
    listener, level = Listener(logging.WARNING), logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.WARNING)  # the environment may have set another level
    try:
        yield said
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)


def number(value: Any) -> float | None:
    """The number that Inspect reads a score's value as; None if it is not a number.

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
    """The result, with names of `motools_build.evals` metrics without the package.
    Inspect itself leaves the package out, except in the metrics of a scorer with
    several values."""
    names = {name: name.removeprefix(OURS) for name in score.metrics}
    metrics = {names[name]: found for name, found in score.metrics.items()}
    return score.model_copy(update={"metrics": metrics})


def ended_by(sample: EvalSample) -> str | None:
    """The type of the limit that ended a sample, or, if a separate scorer scores it,
    its recorded answer; None if no limit did."""
    if sample.limit:
        return sample.limit.type
    limit = sample.store.get(LIMIT)
    return None if limit is None else str(limit)


def counting_values(sample: EvalSample) -> dict[str, Any]:
    """Scorer -> the sample's value in JSON; None if a limit of BY_CHANCE ended it."""
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
    """A sample's value for a (scorer, key); None if there is none."""
    score = (sample.scores or {}).get(name[0])
    value = score.value if score else None
    if isinstance(value, Mapping) and name[1] is not None:
        return value.get(name[1])
    return value


def finite(value: float) -> float | None:
    """The value; None if it is NaN or infinite, which JSON has no number for."""
    return value if math.isfinite(value) else None


def as_json_value(value: Any) -> Any:
    """A score's value in JSON, with None for NaN and infinities."""
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(name): as_json_value(item) for name, item in value.items()}
    return [as_json_value(item) for item in value]


def as_line(row: Mapping[str, Any]) -> bytes:
    """A row as canonical JSON; as plain JSON if canonical JSON cannot express one of
    its numbers (an integer above 2**53)."""
    from motools_build.keys import canonical  # a bundle's copy does without

    try:
        return canonical(row)
    except ValueError:
        return json.dumps(row, sort_keys=True, separators=(",", ":")).encode()
