"""The folder of a server of vLLM on this machine, and the locks in it.

All runs of a user that need the same server share it, and so its folder. Its locks are
held by processes, and given back by the operating system when these end, however:

- `start` (exclusive): who begins to use the server, starts it, or ends it.
- `alive` (exclusive): the server's guardian.
- `tie` (shared): each worker whose run may use the server. When nobody holds it, the
  runs have ended, and so the server ends.
- `use` (shared): each eval that asks the server. While nobody holds it, the server ends
  if its GPU is wanted by something else.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from motools_build.errors import EngineError

START, ALIVE, TIE, USE = "start", "alive", "tie", "use"

WANTED = "wanted.json"
"""What the guardian is to start: the fields of a `server.Order`."""

ADDRESS = "address.json"
"""How a server that is ready is reached: the fields of an `Address`."""

FAILED = "failed"
"""Why the guardian ended without a server that is ready."""

LOG = "log"
"""What the server prints. It is kept, and later servers append to it."""

TAIL = 1500
"""Bytes of a log's end that are shown in messages."""


@dataclass(frozen=True)
class Address:
    """A server of vLLM that is ready."""

    url: str
    """Its base URL, which ends in `/v1`."""
    key: str
    """The API key that it asks for."""
    model: str
    """The name of its base model in requests."""
    log: str
    """Path of its log; empty for a server that no run has started."""

    def write(self, folder: Path) -> None:
        new = folder / f"{ADDRESS}.new"
        new.write_text(json.dumps(asdict(self)))
        new.replace(folder / ADDRESS)

    @classmethod
    def read(cls, folder: Path) -> Address | None:
        """The address of the folder's server; None if none is ready."""
        try:
            return cls(**json.loads((folder / ADDRESS).read_bytes()))
        except FileNotFoundError:
            return None


def folder_of(digest: str) -> Path:
    """The folder of the server with this digest of what it is. Raises EngineError if
    another user has taken its place."""
    root = Path(tempfile.gettempdir()) / f"motools-vllm-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise EngineError(f"{root} is another user's; set TMPDIR to a folder of yours")
    folder = root / digest[:16]
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def end_of_log(path: str | Path) -> str:
    """The last lines of a log, for messages; empty if there is none."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return ""
    lines: list[Any] = data[-TAIL:].decode("utf-8", "replace").strip().splitlines()
    return "\n".join(lines[-8:])
