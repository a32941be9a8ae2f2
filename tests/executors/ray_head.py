"""A head of a real Ray on this machine's loopback, which the tests start and end."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.forking.client import PYTHONPATH

PORTS = (
    *("port", "dashboard-port", "dashboard-agent-listen-port"),
    *("dashboard-agent-grpc-port", "runtime-env-agent-port", "metrics-export-port"),
    *("node-manager-port", "object-manager-port", "ray-client-server-port"),
)


class Head:
    """A Ray cluster that is one node: this machine."""

    def __init__(self, cpus: int, hidden: Path | None = None, **environ: str) -> None:
        """`hidden` is a folder that its nodes see empty, which needs root."""
        program = os.environ.get("MOTOOLS_RAY") or shutil.which("ray")
        if program is None:
            pytest.skip("needs a `ray` on PATH, or its path in MOTOOLS_RAY")
        # a short path: sockets are in it
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        ports = dict(zip(PORTS, _ports(len(PORTS)), strict=True))
        self.address = f"http://127.0.0.1:{ports['dashboard-port']}"
        self._words = [
            *(program, "start", "--head", "--block", "--disable-usage-stats"),
            *("--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"),
            *(f"--{name}={port}" for name, port in ports.items()),
            *("--min-worker-port=0", "--max-worker-port=0"),
            *(f"--num-cpus={cpus}", "--object-store-memory=100000000"),
            f"--temp-dir={self.folder}",
        ]
        if hidden is not None:
            mount = ("mount", "-t", "tmpfs", "none", str(hidden))
            script = f"{shlex.join(mount)} && exec {shlex.join(self._words)}"
            self._words = ["unshare", "--mount", "bash", "-c", script]
        self._environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("RAY_")},
            "PYTHONPATH": PYTHONPATH,
            "NO_PROXY": "127.0.0.1,localhost",
            **environ,
        }
        self.start()

    def start(self) -> None:
        with (self.folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                self._words,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        until(self._answers, 300)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "said").read_text()
        with suppress(OSError):
            return bool(self.ask("/api/version"))
        return False

    def ask(self, path: str, **body: str) -> Any:
        """What the dashboard answers."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.address + path, data)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.loads(answer.read())

    def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("/api/jobs/")
        return found

    def kill(self) -> None:
        """Kill the head, as a machine dies. Its jobs die with it."""
        kill([self._process.pid, *running(str(self.folder))])
        self._process.wait()
        until(lambda: not running(str(self.folder)))

    def close(self) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def running(text: str) -> list[int]:
    """The processes whose command line has a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def parent(process: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def kill(processes: list[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    found = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return found


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
