"""Learning curves, read from the payload of a model."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FILES = ("learning_curve.jsonl", "metrics.csv")
"""Files of a model's payload that may hold its curve: JSON lines or CSV, with a `step`
and numbers."""

Curve = Sequence[tuple[int, Mapping[str, float]]]
"""Step, and name to number, of each point."""


def curve_in(folder: Path) -> Iterator[tuple[int, Mapping[str, float]]]:
    """The curve in a model's folder; empty if it has none. Raises ValueError if its
    file is not JSON."""
    for name in FILES:
        if (folder / name).is_file():
            yield from curve(folder / name)


def curve(path: Path) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Step and numbers of each line of a curve; values that are no finite number are
    left out."""
    text = path.read_text(encoding="utf-8")
    lines: list[Any] = (
        [json.loads(line) for line in text.splitlines() if line.strip()]
        if path.suffix == ".jsonl"
        else [*csv.DictReader(text.splitlines())]
    )
    for number, line in enumerate(lines, 1):
        found = numbers(line)
        yield int(found.pop("step", number)), found


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """The values that are finite numbers, or texts of them."""
    found = {}
    for name, value in line.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            found[name] = number
    return found
