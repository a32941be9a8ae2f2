"""The protocol between a fork server and its clients."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEADER = struct.Struct("!I")
"""A request's header: the size in bytes of the text that follows."""

AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
"""Prefixes of environment variables that a process reads only as it starts."""

PATH = "PYTHONPATH"

LATER = frozenset({"PYTHONUNBUFFERED", "PYTHON_DOTENV_DISABLED", PATH})
"""Exceptions, which may differ from the server's: our code flushes all that it prints,
dotenv reads its variable when it is used, and a forked process takes on another path
(`server.become`)."""


def as_here(environ: Mapping[str, str], root: Path) -> bool:
    """Whether a process with this environment would start in the same way as the
    present process did, with this repository in its path."""
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
    """A request as bytes: its header, along with which the client sends descriptors,
    and its text."""
    request = {"arguments": arguments, "folder": folder, "environ": dict(environ)}
    text = json.dumps(request).encode()
    return HEADER.pack(len(text)), text


def received(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive a request, and the three descriptors that come with it. Raises EOFError
    if the client is gone, which a test may have killed."""
    header, descriptors, _, _ = socket.recv_fds(client, HEADER.size, 3)
    try:
        if len(header) < HEADER.size:
            raise EOFError
        (size,) = HEADER.unpack(header)
        text = b""
        while len(text) < size:
            more = client.recv(size - len(text))
            if not more:
                raise EOFError
            text += more
    except (EOFError, OSError) as error:
        for descriptor in descriptors:
            os.close(descriptor)
        raise EOFError from error
    return json.loads(text), descriptors


def answer(client: socket.socket, **fields: Any) -> None:
    """Send a client an answer, a line of JSON, unless the client is gone."""
    try:
        client.sendall(json.dumps(fields).encode() + b"\n")
    except OSError:  # a test killed the client
        return
