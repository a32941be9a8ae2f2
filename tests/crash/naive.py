"""A client as one would write it in an afternoon; the storm must find its mistakes.

It sends with the SDK's own retries, notes an ID once it has it, and after a restart
sends what it has no ID of.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import openai

from tests.crash.client import Act, Running, start
from tests.crash.harness import MODEL
from tests.rehearsal.server import KEY, Rehearsal, rows


@dataclass
class Naive:
    """The client; its folder holds a file for each ID and each model."""

    root: Path
    server: Rehearsal
    seeds: int
    wanted: int = 0
    names: list[str] = field(default_factory=list)
    points: Sequence[str] = ()
    span: float = 1.0

    def begin(self, number: int) -> None:
        self.names.append(f"naive{number}")
        self.wanted += self.seeds

    def start(self, act: Act | None = None) -> Running:
        given = self.root, self.server.url, self.names[-1], self.seeds
        return start(run, self.root, {}, *given)

    def finish(self) -> None:
        for name in self.names:
            run(self.root, self.server.url, name, self.seeds)

    def intents(self) -> set[str]:
        return set()

    def wrote(self) -> object:
        return sorted(path.name for path in self.root.iterdir())

    def lose(self, folder: str) -> None:
        raise NotImplementedError

    def told_duplicates(self) -> int:
        return 0

    def made(self) -> list[tuple[str, str]]:
        return [
            (path.stem, json.loads(path.read_text()))
            for path in self.root.glob("*.model")
        ]


def run(root: Path, url: str, name: str, seeds: int) -> int:
    client = openai.OpenAI(base_url=url, api_key=KEY)
    with client, ThreadPoolExecutor(seeds) as threads:
        file = root / f"{name}.file"
        if not file.exists():
            data = (f"{name}.jsonl", rows())
            sent = client.files.create(file=data, purpose="fine-tune")
            file.write_text(sent.id)

        def make(seed: int) -> None:
            id = root / f"{name}-{seed}.job"
            if not id.exists():
                job = client.fine_tuning.jobs.create(
                    model=MODEL.partition("/")[2],
                    training_file=file.read_text(),
                    seed=seed,
                    metadata={"motools_key": id.stem, "motools_attempt": "1"},
                )
                id.write_text(job.id)
            while True:
                job = client.fine_tuning.jobs.retrieve(id.read_text())
                if job.fine_tuned_model:
                    break
                time.sleep(0.1)
            model = json.dumps(job.fine_tuned_model)
            id.with_suffix(".model").write_text(model)

        list(threads.map(make, range(seeds)))
    return 0
