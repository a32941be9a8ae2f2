"""A run as the run log has it, and times as records and logs write them."""

from __future__ import annotations

import calendar
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from motools_build.keys import digest_bytes
from motools_build.text.scrub import scrub_values

MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Run:
    """A line of the run log: what one setting stood for when a run began."""

    time: str
    """UTC, in the form of `now`; empty in a damaged line."""
    setting: str
    stages: Mapping[str, str]
    """Stage name -> key."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The `name=value` words of the command."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path of each source file (rows, code of evals) -> the digest that it had; empty
    in lines of earlier versions."""
    commit: str | None = None
    """The git commit that the project was at; None if it is not known."""
    dirty: bool | None = None
    """Whether files of the project were not as in that commit."""

    @classmethod
    def beginning(
        cls,
        setting: str,
        stages: Mapping[str, str],
        variables: Mapping[str, str],
        about: Mapping[str, Any],
    ) -> Run:
        """A run that begins now. `about` has `files`, and may have `commit` and
        `dirty`."""
        return cls(
            time=now(),
            setting=setting,
            stages=stages,
            variables=scrub_values(dict(variables)),
            files=about.get("files", {}),
            commit=about.get("commit"),
            dirty=about.get("dirty"),
        )

    @cached_property
    def id(self) -> str:
        """Eight hex digits that stand for the run. They are computed from the line, so
        they stay the same when the log is pruned."""
        of = (self.time, self.setting, dict(self.variables), dict(self.stages))
        return digest_bytes(json.dumps(of, sort_keys=True).encode())[:8]

    @property
    def is_smoke(self) -> bool:
        return self.variables.get("smoke") == "yes"

    @property
    def seconds(self) -> float:
        """When the run began, in seconds since the epoch; infinite if that is not
        known, so that a damaged line is never too old to keep."""
        try:
            return seconds_of(self.time)
        except ValueError:
            return math.inf

    @property
    def place(self) -> str:
        """The setting and the variables, as a text: what a line must share with one
        that tells what changed since."""
        return place_of(self.setting, self.variables)


def place_of(setting: str, variables: object) -> str:
    """The setting and the variables of a line, as a text."""
    return json.dumps([setting, mapping(variables)], sort_keys=True)


def mapping(value: object) -> dict[str, Any]:
    """A field of a line that should be an object; an empty one if it is not."""
    return value if isinstance(value, dict) else {}


def now() -> str:
    """The time in UTC, as ISO 8601 to the second."""
    return moment(time.time())


def moment(seconds: float) -> str:
    """A time in seconds since the epoch, in the form of `now`."""
    return time.strftime(MOMENT, time.gmtime(seconds))


def seconds_of(moment: str) -> float:
    """A time in the form of `now`, in seconds since the epoch. Raises ValueError."""
    return float(calendar.timegm(time.strptime(moment, MOMENT)))
