"""The run log: what each setting stood for, run by run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from motools_build.stages import Stage


class RunLog:
    """A file of JSON lines: time, setting, variables, and its stages' keys.

    It tells a stale cell from a missing one, which model a name means, and what a
    recent run still refers to.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def append(
        self, setting: str, variables: Mapping[str, str], stages: Sequence[Stage]
    ) -> None:
        """Note a run of a setting, in one write."""
        line = {
            "time": now(),
            "setting": setting,
            "variables": dict(variables),
            "stages": {stage.name: stage.key for stage in stages},
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        handle = os.open(self._file, flags, 0o644)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every noted run, oldest first. A line cut by a full disk is passed over."""
        with suppress(FileNotFoundError), open(self._file, "rb") as file:
            for line in file:
                try:
                    run = json.loads(line)
                except ValueError:
                    continue
                if isinstance(run, dict) and "stages" in run:
                    yield run

    def older_keys(self) -> dict[str, list[str]]:
        """Stage name -> the keys that it stood for, the latest last."""
        keys: dict[str, dict[str, None]] = {}
        for run in self:
            for name, key in run["stages"].items():
                keys.setdefault(name, {}).pop(key, None)
                keys[name][key] = None
        return {name: list(found) for name, found in keys.items()}


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
