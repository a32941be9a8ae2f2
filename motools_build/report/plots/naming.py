"""Short names of groups of models: the parts of their names that tell them apart."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import combinations
from typing import Any

from motools_build.report.means import Group
from motools_build.report.plots.look import Look
from motools_build.specs.contrast import BASE

LINE = 26
"""Number of characters of a line of a label."""

LINES = 4
"""Largest number of lines of a label."""

LINE_HEIGHT = 14.5
"""Vega's line height in pixels for labels of axes."""

LABEL: dict[str, Any] = {
    "labelExpr": "split(datum.label, '\\n')",
    "labelLimit": 0,
    "labelOffset": {  # Vega puts the first line beside the tick, not the middle
        "condition": [
            {
                "test": f"length(split(datum.value, '\\n')) == {count}",
                "value": -(count - 1) / 2 * LINE_HEIGHT,
            }
            for count in range(2, 2 * LINES + 3)
        ],
        "value": 0,
    },
}
"""Options of an axis whose labels are texts of several lines."""


def in_lines(name: str) -> str:
    """A name in lines that are short enough for a label, broken after spaces, commas,
    dashes and underscores where there are some. A name of more than `LINES` lines is
    cut in its middle, since names often differ at their end."""
    lines = [""]
    for part in re.findall(rf"[^ ,_-]{{1,{LINE}}}[ ,_-]*|[ ,_-]+", name):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > LINE:
            lines.append("")
        lines[-1] += part
    if len(lines) > LINES:
        lines = [*lines[: LINES // 2], "…", *lines[-LINES // 2 :]]
    return "\n".join(line.rstrip() for line in lines)


def step_of(labels: Iterable[str], least: int) -> int:
    """The height of a row in pixels that all labels fit, at least `least`."""
    return max([least, *(16 * (label.count("\n") + 1) + 10 for label in labels)])


def short_names(groups: Iterable[Group]) -> dict[Group, str]:
    """Group -> a name made of as few of its parts as tell all groups apart, the arm
    before the dataset. A base model is called `base model`, with its name if there are
    several."""
    every = list(dict.fromkeys(groups))
    bases = [group for group in every if is_base(group)]
    tuned = [group for group in every if not is_base(group)]
    names = _told_apart(tuned)
    for group in bases:
        names[group] = "base model" if len(bases) == 1 else f"base {group[2]}"
    return names


def colours_of(names: Collection[Group], look: Look) -> dict[Group, str]:
    """Group -> its colour, the same in all plots: by its place among the fine-tuned
    groups."""
    tuned = [group for group in names if not is_base(group)]
    found = {group: look.colour(index) for index, group in enumerate(tuned)}
    return found | {group: look.muted for group in names if is_base(group)}


def is_base(group: Group) -> bool:
    """Whether the group is a model without fine-tuning."""
    return group[1] == BASE and not group[0]


def _told_apart(groups: list[Group]) -> dict[Group, str]:
    for size in range(1, 5):
        for parts in combinations(range(4), size):
            names = [", ".join(filter(None, (g[i] for i in parts))) for g in groups]
            if all(names) and len(set(names)) == len(groups):
                return dict(zip(groups, names, strict=True))
    return {group: ", ".join(filter(None, group)) for group in groups}
