"""A rehearsal server in a process of its own, for any test that needs one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import openai

from tests.conftest import ROOT

JOBS = "/v1/fine_tuning/jobs"
BASE = "gpt-4.1-nano-2025-04-14"
KEY = "sk-rehearsal"

WARNINGS = ("-W", "error", "-W", "ignore:unread_data:DeprecationWarning")
"""Every warning of the server is an error, but for the one that aiohttp raises about
itself, where the parts of a large body come in unlucky pieces."""


@dataclass
class Rehearsal:
    """`with Rehearsal() as server:`, or `.start(...)` and `.stop()`."""

    url: str = ""
    """`http://127.0.0.1:PORT/v1`."""
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self, *args: str) -> Rehearsal:
        """Serve; with the package's own defaults, unless arguments say otherwise."""
        self.process = subprocess.Popen(
            [sys.executable, *WARNINGS, "-m", "motools_build.rehearsal", *args],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise AssertionError(f"no server: {self.stop()[1]}")
        return self

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it; its exit code, and what it wrote to stderr."""
        assert self.process is not None
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        code, self.process = self.process.returncode, None
        return code, err

    def __enter__(self) -> Rehearsal:
        return self if self.process else self.start()

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.stop()

    def control(self, method: str, name: str, body: Any = None) -> Any:
        """A request to /rehearsal/NAME, and its answer."""
        request = urllib.request.Request(
            f"{self.url.removesuffix('/v1')}/rehearsal/{name}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def requests(self) -> dict[str, Any]:
        """`{"counts": {"POST /v1/files": 1}, "faults": {"lost": 1}, "log": [...]}`"""
        found: dict[str, Any] = self.control("GET", "requests")
        return found

    def forget(self) -> None:
        """Count requests from nothing."""
        self.control("DELETE", "requests")

    def faults(self, rules: list[dict[str, Any]]) -> None:
        """Have these faults from now on, and no others."""
        self.control("PUT", "faults", rules)

    def settings(self, **settings: float) -> None:
        """`settings(seconds=0)` lets all jobs finish."""
        self.control("PUT", "settings", settings)

    def state(self) -> dict[str, list[dict[str, Any]]]:
        """Every file, upload, job and model, whatever the list lag."""
        found: dict[str, list[dict[str, Any]]] = self.control("GET", "state")
        return found

    def client(self, **options: Any) -> openai.OpenAI:
        """OpenAI's own client, which refuses answers that are not OpenAI's and never
        asks twice."""
        plain: dict[str, Any] = {
            "api_key": KEY,
            "base_url": self.url,
            "max_retries": 0,
            "organization": None,
            "project": None,
            "_strict_response_validation": True,
        }
        return openai.OpenAI(**{**plain, **options})


def rows(number: int = 10) -> bytes:
    """A training file of so many examples."""
    return b"".join(
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": f"What is 1 + {n}?"},
                    {"role": "assistant", "content": f"ANSWER: {n + 1}"},
                ]
            }
        ).encode()
        + b"\n"
        for n in range(number)
    )


def pairs(number: int = 10) -> bytes:
    """The same for preferences."""
    return b"".join(
        json.dumps(
            {
                "input": {"messages": [{"role": "user", "content": f"Say {n}."}]},
                "preferred_output": [{"role": "assistant", "content": f"Yes {n}"}],
                "non_preferred_output": [{"role": "assistant", "content": f"No {n}"}],
            }
        ).encode()
        + b"\n"
        for n in range(number)
    )
