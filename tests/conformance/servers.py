"""Servers of others: Prism, a validating proxy, and aimock, an emulator."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

HERE = Path(__file__).parent
INSTALL = "npm install --no-package-lock --no-audit --no-fund"
START = 60.0
"""Seconds that a server may take to listen, on a busy machine."""


@dataclass
class Server:
    """A running server, and the file that takes all it prints."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Aimock(Server):
    """An emulator of OpenAI; a job moves one state on each time it is asked for by its
    ID, and never otherwise."""

    def journal(self, service: str) -> list[dict[str, Any]]:
        """The requests that one service of it had, oldest first."""
        root = self.url.removesuffix("/v1")
        answer = httpx.get(f"{root}/__aimock/journal", params={"service": service})
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found

    def posted(self, service: str, path: str) -> list[dict[str, Any]]:
        """The bodies of the POST requests to exactly this path."""
        return [
            entry["body"]
            for entry in self.journal(service)
            if (entry["method"], entry["path"]) == ("POST", path)
        ]


@dataclass
class Prism(Server):
    """A proxy that compares requests and answers with OpenAI's own document.

    Streamed answers are beyond it: it waits for their end and takes them for text.
    """

    asked: int = 0

    def violations(self) -> list[str]:
        """`post /files: request.body.purpose ...`, each violation so far.

        A last request marks the end of what is read: the log is written in order, but
        not at once.
        """
        self.asked += 1
        mark = f"/mark-{self.asked}"
        httpx.get(self.url + mark)
        wait_for(self, re.compile(re.escape(f"get {mark} ")))
        found = []
        request = ""
        for line in self.output.splitlines():
            received = re.search(r"\[HTTP SERVER\] (\w+ \S+) .*Request received", line)
            if received:
                request = received[1]
            wrong = re.search(r"Violation: (.*)|(Request terminated .*)", line)
            if wrong and "/mark-" not in request:
                found.append(f"{request}: {wrong[1] or wrong[2]}")
        return found


def start_aimock(folder: Path, answers: Sequence[tuple[str, str]]) -> Aimock:
    """An aimock whose chat models answer by the first prompt found in the last message.

    `[("2 + 2", "4"), ("", "?")]`: to all that does not speak of 2 + 2, "?".
    """
    fixtures = [
        {
            "match": {"userMessage": prompt} if prompt else {},
            "response": {"content": answer},
        }
        for prompt, answer in answers
    ]
    file = folder / "aimock.json"
    file.write_text(json.dumps({"fixtures": fixtures}))
    command = [*script("llmock"), "--port", "0", "--fixtures", str(file)]
    process, log = launch(command, folder / "aimock.log")
    server = Aimock(process, log, "")
    server.url = wait_for(server, re.compile(r"listening on (\S+)")) + "/v1"
    return server


def start_prism(folder: Path, document: Path, upstream: str) -> Prism:
    """A Prism before `upstream`, by an OpenAPI document."""
    number = len(list(folder.glob("prism-*.log")))
    command = [*script("prism"), "proxy", str(document), upstream, "--port", "0"]
    process, log = launch(command, folder / f"prism-{number}.log")
    server = Prism(process, log, "")
    server.url = wait_for(server, re.compile(r"Prism is listening on (\S+)"))
    return server


def script(name: str) -> list[str]:
    """The command of an installed npm package; a missing Node is a failure."""
    node = shutil.which("node")
    file = HERE / "node_modules" / ".bin" / name
    if node is None:
        pytest.fail("these tests need Node, which is not on PATH: install Node >= 20")
    if not file.exists():
        pytest.fail(f"{name} is not installed: in tests/conformance, run `{INSTALL}`")
    return [node, str(file)]


def launch(command: list[str], log: Path) -> tuple[subprocess.Popen[bytes], Path]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    return process, log


def wait_for(server: Server, line: re.Pattern[str]) -> str:
    """The first group of the pattern, or all of it, once the server prints it."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        found = line.search(server.output)
        if found:
            return found[1] if found.groups() else found[0]
        if server.process.poll() is not None:
            break
        time.sleep(0.05)
    server.stop()
    pytest.fail(f"no {line.pattern!r} from {server.process.args!r}:\n{server.output}")
