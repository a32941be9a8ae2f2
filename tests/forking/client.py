"""The client of the fork servers: starting them, and running commands in them."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from motools_build.running.launch.base import worker_environment
from tests.forking import protocol

ROOT = Path(__file__).parents[2]

REGISTERED = Path(__file__).parent / "registered"
"""A folder for `sys.path`, in which the tests' launcher is registered."""

PYTHONPATH = os.pathsep.join([str(ROOT), str(REGISTERED)])
"""PYTHONPATH of all test processes: this repository, and the launcher of the tests."""

SOCKET = "MOTOOLS_TESTS_WORKERS"
"""Environment variable by which the launcher finds the socket of the worker server."""


class Refused(Exception):
    """The server cannot fork a process for this request; start a real one."""


@dataclass
class Server:
    """A fork server for one kind of process, started when it is first needed."""

    kind: str
    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    shared: str = ""
    """Path of the socket of a server that another process started."""
    _process: subprocess.Popen[bytes] | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def path(self) -> str:
        """Path of the server's socket. Starts the server if it is not running."""
        if self.shared:
            return self.shared
        if self._process is None:
            self._folder = tempfile.TemporaryDirectory(prefix="forks-")
            path = f"{self._folder.name}/{self.kind}"
            self._process = subprocess.Popen(
                [
                    *(sys.executable, *self.options, "-m", "tests.forking.server"),
                    *(self.kind, path),
                ],
                cwd=ROOT,
                env={**self.environ, "PYTHONPATH": PYTHONPATH},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == b"listening\n"
        assert self._folder is not None
        return f"{self._folder.name}/{self.kind}"

    def stop(self) -> None:
        if self._process is not None:
            self._process.communicate()  # closes its input, at which it ends
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


COMMANDS = Server("commands", ("-W", "error"))
WORKERS = Server("workers", (), worker_environment(os.environ))


def environ_of_forks() -> dict[str, str]:
    """Variables with which a run forks its workers."""
    return {
        "PYTHONPATH": PYTHONPATH,
        "MOTOOLS_LAUNCHER": "forked",
        SOCKET: WORKERS.path,
    }


def command(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str], timeout: float
) -> tuple[int, str, str]:
    """Run `python -W error -m doit ARGUMENTS`; returns exit code, stdout and stderr.

    Raises Refused if it needs a real process, and TimeoutError if it has not ended
    after `timeout` seconds; then it is killed.
    """
    pipes = [os.pipe(), os.pipe()]
    nothing = os.open(os.devnull, os.O_RDONLY)
    theirs = [nothing, *(writer for _, writer in pipes)]
    readers = [reader for reader, _ in pipes]
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.connect(COMMANDS.path)
            header, text = protocol.encoded(arguments, str(folder), environ)
            socket.send_fds(asked, [header], theirs)
            asked.sendall(text)
            for descriptor in theirs:
                os.close(descriptor)
            answers = asked.makefile("rb")
            first = json.loads(answers.readline())
            if "refused" in first:
                raise Refused
            try:
                out, err = _read(readers, time.monotonic() + timeout)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.kill(first["process"], signal.SIGKILL)
                raise
            code: int = json.loads(answers.readline())["code"]
            return code, out, err
        finally:
            for reader in readers:
                os.close(reader)


def _read(readers: Sequence[int], deadline: float) -> list[str]:
    """Read each descriptor to its end, as text. Raises TimeoutError at `deadline`."""
    found = {reader: b"" for reader in readers}
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if not ready:
                raise TimeoutError("the command does not end")
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                found[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
    # translate line ends as Popen(text=True) does
    return [
        data.decode().replace("\r\n", "\n").replace("\r", "\n")
        for data in found.values()
    ]
