"""Making a derived dataset by a step that is given as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motools_build.data.source import Source
from motools_build.data.transforms.table import STEPS


def made(
    told: Mapping[str, Any], sources: Sequence[Source], folder: Path
) -> dict[str, Any]:
    """Make a dataset in a folder by one step. `told` is the step as JSON: its fields,
    and its word under `step`. Returns the details for the dataset's record: counts of
    rows, and the step's `RULES` version if it is above 1.

    Raises DatasetError, with file and line if a row is at fault.
    """
    fields = dict(told)
    step = STEPS[fields.pop("step")](**fields)
    details = step.run(sources, folder)
    return {**details, "rules": step.RULES} if step.RULES > 1 else details
