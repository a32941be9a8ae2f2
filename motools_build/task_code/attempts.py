"""The files that earlier attempts at an eval read. Answers in an earlier attempt's log
are reused only if these files are unchanged.

They are listed in `read.jsonl` beside the logs, one line per file, which is written
before the file is read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from motools_build.keys import Digest, digest_file
from motools_build.task_code.reads import READ, WRITTEN, digest_now


def same_as_read(folder: Path) -> bool:
    """Whether a folder has logs whose input files are all unchanged. If one of the
    files changed, the logs are deleted."""
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
    """Copy the list of read files when a log moves from `folder` to `place`."""
    if folder != place and (folder / READ).exists():
        with open(place / READ, "ab") as file:  # append to the list that is there
            file.write((folder / READ).read_bytes())


def noted(folder: Path) -> dict[str, Digest]:
    """Name -> digest of the files that were read for the logs in a folder, earlier
    attempts included."""
    return {n: Digest(d) for n, found in _notes(folder).items() for d in found if d}


def _notes(folder: Path) -> dict[str, set[str | None]]:
    """Name -> all digests under which the file was read. None among them means that it
    changed during a read, so that its bytes are unknown. Files that the eval itself
    wrote are left out."""
    found: dict[str, set[str | None]] = {}
    beside = folder / READ
    lines = beside.read_bytes().splitlines() if beside.exists() else []
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # a torn line: the process died before it read the file
        found.setdefault(said["name"], set()).add(said["digest"])
    return {name: digests for name, digests in found.items() if WRITTEN not in digests}
