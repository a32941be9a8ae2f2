"""What attempts before this one read: their answers count only while it is the same.

A file beside their logs says it, a line each, written before the file is read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from motools_build.keys import Digest, digest_file
from motools_build.task_code.reads import READ, WRITTEN, digest_now


def same_as_read(folder: Path) -> bool:
    """Whether there are logs in a folder, and all that they were made from is still the
    same; those of other inputs are removed."""
    beside = folder / READ
    if not any(folder.glob("*.eval")):
        beside.unlink(missing_ok=True)
        return False
    for name, digests in _notes(folder).items():
        try:
            now = digest_now(name, digest_file)
        except OSError:
            now = None
        if now is None or digests != {now}:
            print(
                f"{name} is not what it was when an attempt before this one read it: "
                "its answers are not used",
                file=sys.stderr,
            )
            for log in folder.glob("*.eval"):
                log.unlink()
            beside.unlink()
            return False
    return True


def carry(folder: Path, place: Path) -> None:
    """A log goes from one folder to another; what it was made from goes along."""
    if folder != place and (folder / READ).exists():
        with open(place / READ, "ab") as file:  # after what its own attempts read
            file.write((folder / READ).read_bytes())


def noted(folder: Path) -> dict[str, Digest]:
    """What the logs in a folder were made from, those of earlier attempts, too."""
    return {n: Digest(d) for n, found in _notes(folder).items() for d in found if d}


def _notes(folder: Path) -> dict[str, set[str | None]]:
    """By name: the digests it was read with, None among them if that is not known."""
    found: dict[str, set[str | None]] = {}
    beside = folder / READ
    lines = beside.read_bytes().splitlines() if beside.exists() else []
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # a torn line: it is written before the file is read
        found.setdefault(said["name"], set()).add(said["digest"])
    return {name: digests for name, digests in found.items() if WRITTEN not in digests}
