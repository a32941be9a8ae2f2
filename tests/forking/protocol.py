"""What passes between a server and those who ask it for processes."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEADER = struct.Struct("!I")
"""Bytes of the request that follows."""

AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
"""Beginnings of the names of variables that a process reads as it starts."""

PATH = "PYTHONPATH"

LATER = frozenset({"PYTHONUNBUFFERED", "PYTHON_DOTENV_DISABLED", PATH})
"""Those of them that do no harm: everything printed is flushed by whoever prints it,
dotenv looks at its own when it is used, and the forked process takes on another path
(`server.become`)."""


def as_here(environ: Mapping[str, str], root: Path) -> bool:
    """Whether a process of that environment would have started as this one did, with
    this repository in its path."""
    if str(root) not in path_of(environ):
        return False
    return _at_start(environ) == _at_start(os.environ)


def path_of(environ: Mapping[str, str]) -> list[str]:
    """The folders that PYTHONPATH names."""
    return [name for name in environ.get(PATH, "").split(os.pathsep) if name]


def _at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(AT_START) and name not in LATER and value
    }


def encoded(
    arguments: Sequence[str], folder: str, environ: Mapping[str, str]
) -> tuple[bytes, bytes]:
    """A request: its header, with which the descriptors go, and its text."""
    request = {"arguments": arguments, "folder": folder, "environ": dict(environ)}
    text = json.dumps(request).encode()
    return HEADER.pack(len(text)), text


def received(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A request and its descriptors."""
    header, descriptors, _, _ = socket.recv_fds(client, HEADER.size, 3)
    (size,) = HEADER.unpack(header)
    text = b""
    while len(text) < size:
        text += client.recv(size - len(text))
    return json.loads(text), descriptors


def answer(client: socket.socket, **fields: Any) -> None:
    """Tell whoever asked, if it still is there."""
    try:
        client.sendall(json.dumps(fields).encode() + b"\n")
    except OSError:  # it was killed, as tests do
        return
