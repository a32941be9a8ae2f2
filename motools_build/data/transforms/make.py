"""A dataset made of others, by the JSON of its step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motools_build.data.source import Source
from motools_build.data.transforms.table import STEPS


def made(
    told: Mapping[str, Any], sources: Sequence[Source], folder: Path
) -> dict[str, Any]:
    """Make a dataset in a folder by one step, given as JSON: its fields, and its word
    under `step`. Returns what the record keeps; the rules that it was made by are in it
    where they are not the first.

    Raises DatasetError, with file and line where a row is at fault.
    """
    fields = dict(told)
    step = STEPS[fields.pop("step")](**fields)
    details = step.run(sources, folder)
    return {**details, "rules": step.RULES} if step.RULES > 1 else details
