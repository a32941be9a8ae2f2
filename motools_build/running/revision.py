"""The git commit that a run's project is at, for records. It is in no key."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path
from typing import Any

STATUS = (
    *("-c", "status.relativePaths=true", "status", "--porcelain=v2"),
    *("--branch", "--untracked-files=normal", "--ignored=matching", "--", "."),
)
"""One call that tells the commit and what in the folder differs from it."""

PATIENCE = 2.0
"""Seconds that git may take: in a huge repository a record goes without."""

COMMIT = re.compile(r"# branch\.oid ([0-9a-f]{40,64})")

IGNORED = re.compile(r"! (\.\./)*(\./)?")
"""Matches the line of a folder that the repository ignores as a whole: it or one above
it."""


def revision(folder: Path) -> dict[str, Any]:
    """`commit`, the hash of the commit that the folder's repository is at; and `dirty`,
    whether a file in the folder, one that git ignores excepted, is not as in that
    commit. Empty if it is not known: there is no git, no repository, no commit, the
    repository ignores the folder, or git takes longer than `PATIENCE`."""
    lines = (git(*STATUS, folder=folder) or b"").decode(errors="replace").splitlines()
    commits = [match[1] for line in lines if (match := COMMIT.fullmatch(line))]
    if not commits or any(IGNORED.fullmatch(line) for line in lines):
        return {}
    dirty = any(not line.startswith(("#", "!")) for line in lines)
    return {"commit": commits[0], "dirty": dirty}


def git(*words: str, folder: Path = Path(), patience: float = PATIENCE) -> bytes | None:
    """What a git command that only reads prints in a folder. None if it fails, takes
    longer than `patience` seconds, or there is no git."""
    try:
        return subprocess.run(
            ("git", *words),
            cwd=folder,
            # git would otherwise write the index, beside a commit of the user's own
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=patience,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError, ValueError):  # a NUL in a word
        return None


class Revisions:
    """The revision of a run's project, asked once and only if something is made or
    logged: what counts is the state of the files when that begins."""

    def __init__(self, folder: Path = Path()) -> None:
        self._folder = folder
        self._known: dict[str, Any] | None = None
        self._asked: asyncio.Task[dict[str, Any]] | None = None

    def now(self) -> dict[str, Any]:
        """The revision, as of the first call of any of these methods."""
        if self._known is None:
            self._known = revision(self._folder)
        return self._known

    def ask(self) -> None:
        """Begin to ask, unless that was done."""
        if self._asked is None:
            self._asked = asyncio.create_task(asyncio.to_thread(self.now))

    async def found(self) -> dict[str, Any]:
        """As `now`, without blocking the event loop."""
        self.ask()
        assert self._asked is not None
        return await asyncio.shield(self._asked)
