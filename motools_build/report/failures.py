"""Groups failures by reason, so that forty evals whose server is down are one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from motools_build.text import hints

NAMED = 3
"""Most stages that are named for one reason; the others are counted."""

_OWN = (
    # parts that differ between messages of one reason: keys, and the first failed
    # sample
    (re.compile(r"\b[0-9a-f]{32}\b"), "KEY"),
    (
        re.compile(r"\bsample .{1,300}? \(epoch \d+\) failed(, and \d+ more)?:"),
        "failed:",
    ),
)


def reason(name: str, message: str) -> str:
    """A failure's message without what is specific to the stage: its name, keys and
    samples."""
    shared = message.replace(name, "STAGE")
    for own, instead in _OWN:
        shared = own.sub(instead, shared)
    return shared


def by_reason(failures: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Group pairs of a stage's name and message by reason; the names of each group."""
    groups: dict[str, list[str]] = {}
    for name, message in failures:
        groups.setdefault(reason(name, message), []).append(name)
    return list(groups.values())


def together(names: Sequence[str]) -> str:
    """`2 stages: a, b`; for a single stage, its name alone."""
    if len(names) == 1:
        return names[0]
    listed = ", ".join(names[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} stages: {listed}{more}"


def of_one_reason(messages: Mapping[str, str]) -> Iterator[str]:
    """A line for each reason: its stages, and the first line of the first stage's
    message."""
    for names in by_reason(messages.items()):
        first = (messages[names[0]].splitlines() or [""])[0]
        yield f"{together(names)}: {first}"


def again(names: Sequence[str]) -> str:
    """The command that tries these stages again."""
    return hints.command("run", *names)
