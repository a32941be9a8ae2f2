"""What `doit cancel` takes out of runs that are under way: orders in a file, which each
run reads before it sends anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from motools_build.errors import Refused
from motools_build.store.files import append
from motools_build.text import hints

KEY = re.compile(r"^[0-9a-f]{8,32}$")
"""A key, or its first 8 or more hex digits."""


@dataclass
class Stops:
    """`doit cancel` for stages whose request is not sent yet. Runs in progress do not
    send it any more; a later run does."""

    file: Path
    """The file with a line for each `doit cancel`."""
    since: float
    """Start of the run, or time of `doit cancel`, in seconds since the epoch."""
    _seen: tuple[int, list[dict[str, Any]]] = (0, [])
    """Size of the file in bytes when last read, and its lines."""

    def order(self, words: Iterable[str], keys: Iterable[str]) -> None:
        """Cancel the stages that match one of the words or keys, in all runs in
        progress."""
        line = {"time": self.since, "words": list(words), "keys": list(keys)}
        append(self.file, json.dumps(line).encode() + b"\n", sync=True)

    def check(self, name: str, key: str) -> None:
        """Raises Refused if the stage was cancelled since the run began."""
        for line in self._lines():
            if line["time"] < self.since:
                continue
            if key in line["keys"] or any(fits(w, name, key) for w in line["words"]):
                raise Refused(
                    f"{name} was cancelled (doit cancel) while this run was under way, "
                    f"and nothing was sent; to go on: {hints.command('run', name)}"
                )

    def _lines(self) -> list[dict[str, Any]]:
        try:
            size = self.file.stat().st_size
        except FileNotFoundError:
            return []
        if size != self._seen[0]:
            found = []
            for line in self.file.read_bytes().splitlines():
                with suppress(ValueError):
                    found.append(json.loads(line))
            self._seen = size, found
        return self._seen[1]


def fits(word: str, name: str, key: str) -> bool:
    """Whether a word selects a stage: by its name, a pattern of names, its setting, or
    the start of its key."""
    if KEY.match(word):
        return key.startswith(word)
    setting = name.split(":", 1)[-1].split("/", 1)[0]
    return word == setting or fnmatchcase(name, word)
