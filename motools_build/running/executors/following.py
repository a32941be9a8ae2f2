"""Reading what a job writes while it is at work."""

from __future__ import annotations

from pathlib import Path

from motools_build.running.launch.messages import Message, decode


class Tail:
    """Reads the messages that are appended to a file, each complete line once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        """Offset of the first byte that was not read as part of a message."""

    def read(self) -> list[Message]:
        """The messages that came since the last call; none if there is no file. A line
        that a kill cut short is skipped once another one follows."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return []
        whole, newline, _ = data.rpartition(b"\n")
        self._at += len(whole) + len(newline)
        found = []
        for line in whole.split(b"\n"):
            try:
                found.append(decode(line))
            except (ValueError, KeyError, TypeError):
                continue
        return found
