"""A project whose `vllm` is the stand-in, and what it was asked."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.conftest import Project, Ran

STAND_IN = Path(__file__).parent / "stand_in.py"

TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes, model_graded_qa

SAMPLES = [Sample(input=f"What is {n} + {n}?", target=f"{2 * n}") for n in range(4)]

@task
def plain():
    return Task(dataset=SAMPLES, scorer=includes())

@task
def judged():
    return Task(dataset=SAMPLES, scorer=model_graded_qa(model_role="grader"))
"""

BARE = """\
from motools_build import Eval, Setting

setting = Setting(
    description="a model on the disk, asked and not trained",
    models=["local/./models/tiny"],
    train=False,
    evals=[Eval("zoo/evals/e.py@plain"%s)],
)
"""


@dataclass
class Lab:
    """A project whose `vllm` is the stand-in."""

    project: Project
    environ: dict[str, str]
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def of(cls, project: Project, there: Path) -> Lab:
        """A lab of a project, with `there` as a folder for everything else."""
        command = there / "bin" / "vllm"
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        (there / "tmp").mkdir()
        project.write("zoo/evals/e.py", TASK)
        project.write("zoo/bare.py", BARE % "")
        return cls(
            project,
            {
                "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
                "TMPDIR": str(there / "tmp"),
                "VLLM_JOURNAL": str(there / "journal"),
            },
        )

    def doit(self, *words: str, code: int | None = 0, **environ: str) -> Ran:
        return self.project.doit(*words, code=code, **{**self.environ, **environ})

    def configure(self, text: str) -> None:
        path = self.project.root / "pyproject.toml"
        own = path.read_text().split("[tool.motools_build.local]")[0]
        path.write_text(f"{own}\n[tool.motools_build.local]\n{text}\n")

    def statuses(self, name: str) -> list[str]:
        return [result["status"] for result in self.project.results(name)]

    def journal(self, event: str) -> list[dict[str, Any]]:
        """What the servers noted of a kind, in their order."""
        path = Path(self.environ["VLLM_JOURNAL"])
        lines = path.read_text().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines]
        return [one for one in found if one["event"] == event]

    def wait_for(self, event: str) -> list[dict[str, Any]]:
        for _ in range(3000):
            if found := self.journal(event):
                return found
            time.sleep(0.1)
        raise AssertionError(f"there is no {event}")

    def serve(self, *argv: str, **environ: str) -> str:
        """Start a server that no run has started; returns its base URL."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.servers.append(
            subprocess.Popen(
                [sys.executable, str(STAND_IN), "serve", *argv, "--port", str(port)],
                cwd=self.project.root,
                env={**os.environ, **self.environ, **environ},
            )
        )
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            with suppress(OSError), urlopen(f"{url}/health"):
                return f"{url}/v1"
            time.sleep(0.1)
        raise AssertionError("it does not listen")

    def close(self) -> None:
        """End the servers that no run has started; the others must be gone."""
        for server in self.servers:
            server.kill()
            server.wait()
        assert gone([one["pid"] for one in self.journal("started")])


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def gone(pids: list[int]) -> bool:
    """Whether all these processes end, within a minute."""
    for _ in range(600):
        if not any(map(alive, pids)):
            return True
        time.sleep(0.1)
    return False


def write_model(folder: Path) -> Path:
    """Write what looks like a model's folder, for servers that do not load it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    config = {"chat_template": "{{ messages[0].content }}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def write_adapter(folder: Path, rank: int = 16, template: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    (folder / "adapter_model.safetensors").write_bytes(f"{folder}".encode())
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return folder
