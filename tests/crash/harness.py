"""A storm of kills over a client of a faulty provider, and what it has left behind."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from tests.conftest import Project
from tests.crash.client import Act, Die, Running, doit, start
from tests.rehearsal.server import JOBS, KEY, Rehearsal

MODEL = "openai/gpt-4.1-mini-2025-04-14"

LIST_LAG = 0.5

SETTLE = 1.0
"""Longer than the list lag: a request is carried out as soon as it is sent."""

SERVER = ("--seconds", "0.3", "--list-lag", str(LIST_LAG))

FAULTS: list[dict[str, Any]] = [
    {"fault": "lost", "probability": 0.15},
    {"fault": "error", "probability": 0.10},
    {"fault": "slow", "value": 0.3},
    {"fault": "job_gone", "probability": 0.05},
    {"fault": "file_gone", "probability": 0.05},
    {"fault": "cut", "on": f"GET {JOBS}$", "probability": 0.05},
    {"fault": "cut", "on": "GET /v1/files$", "probability": 0.05},
    {"fault": "endless", "on": f"GET {JOBS}$", "probability": 0.02},
    {"fault": "no_has_more", "on": f"GET {JOBS}$", "probability": 0.05},
]
"""Of every POST: answers lost after commit, 500 after commit, and all come late. Of
questions: 404s that pass, and lists that are cut, do not end, or do not say so."""

LOSSES = {"state": 0.1, ".": 0.03}
"""How likely it is that a folder of artifacts/ is lost after a kill."""

POINTS = (
    "before intent",
    "after intent",
    "after a lost answer",
    "after the answer",
    "between ledger and state",
    "after bind",
    "before collecting",
    "before the record",
)
"""Where a lone process may die; `before giving way` takes two."""

UNTIL_NEXT = 3
"""Kills after which new seeds are begun, and what is unfinished is left for later."""


class Client(Protocol):
    """Something that makes a model for each seed, and goes on after a death."""

    def begin(self, number: int) -> None:
        """Have a new dataset, and a model to make for each seed."""
        ...

    def start(self, act: Act | None = None) -> Running:
        """Make what was begun last."""
        ...

    def finish(self) -> None:
        """Make all that was ever begun, undisturbed."""
        ...

    def intents(self) -> set[str]:
        """The nonces of requests that were begun and have no ID yet."""
        ...

    def made(self) -> list[tuple[str, str]]:
        """Key and model ID of every model that it has recorded."""
        ...

    def wrote(self) -> object:
        """What it has written down; another value once it has written more."""
        ...

    def lose(self, folder: str) -> None:
        """Lose a folder of what it has written down; "." is all."""
        ...

    def told_duplicates(self) -> int:
        """Jobs that were paid for twice, of which it has told."""
        ...

    seeds: int
    """How many models it begins at a time."""

    wanted: int
    """How many models were begun in all."""

    points: Sequence[str]
    """Named points at which it can die."""

    span: float
    """Seconds that a run of it may take."""


@dataclass
class Doit:
    """`doit run` in a project of its own."""

    project: Project
    server: Rehearsal
    seeds: int
    settle: float = SETTLE
    wanted: int = 0
    names: list[str] = field(default_factory=list)
    points: Sequence[str] = POINTS
    span: float = 1.5

    @property
    def environ(self) -> dict[str, str]:
        return {
            "OPENAI_BASE_URL": self.server.url,
            "OPENAI_API_KEY": KEY,
            "MOTOOLS_SETTLE_SECONDS": str(self.settle),
        }

    @property
    def artifacts(self) -> Path:
        return self.project.root / "artifacts"

    def begin(self, number: int) -> None:
        name, first = f"storm{number}", number * self.seeds
        self.project.dataset(name, rows=10, first=100 * number)
        self.project.setting(
            name,
            models=f'["{MODEL}"]',
            seeds=f"[*range({first}, {first + self.seeds})]",
            evals="[]",
            controls="False",
        )
        self.names.append(name)
        self.wanted += self.seeds

    def start(self, act: Act | None = None) -> Running:
        return self.command(("run", self.names[-1]), act)

    def command(self, args: tuple[str, ...], act: Act | None = None) -> Running:
        return start(doit, self.project.root, self.environ, args, act)

    def finish(self) -> None:
        self.project.doit("run", *self.names, code=0, **self.environ)

    def intents(self) -> set[str]:
        return {
            paid["nonces"][-1]
            for paid in self.paid().values()
            if paid["phase"] == "intent"
        }

    def paid(self) -> dict[str, dict[str, Any]]:
        """Key -> how far it is, of all that have no artifact yet."""
        found = {}
        for path in (self.artifacts / "state").glob("*.json"):
            try:
                paid = json.loads(path.read_bytes())["paid"]
            except FileNotFoundError:  # it has its artifact now
                continue
            if paid:
                found[path.stem] = paid
        return found

    def made(self) -> list[tuple[str, str]]:
        records = self.project.records("model").values()
        return [(record["key"], record["output"]) for record in records]

    def wrote(self) -> object:
        files = [*self.artifacts.glob("state/*.json"), self.artifacts / "ledger.jsonl"]
        found = [(p.name, p.stat().st_mtime_ns) for p in files if p.exists()]
        return sorted(found), len(self.made())

    def lose(self, folder: str) -> None:
        shutil.rmtree(self.artifacts / folder, ignore_errors=True)
        self.artifacts.mkdir(exist_ok=True)

    def told_duplicates(self) -> int:
        return len({entry["id"] for entry in self.ledger("duplicate")})

    def bound(self) -> int:
        """How many models' jobs have an ID here."""
        states = self.paid().values()
        return sum((p["phase"], p["kind"]) == ("bound", "model") for p in states)

    def ledger(self, event: str) -> list[dict[str, Any]]:
        """The ledger's lines of models, of one event."""
        file = self.artifacts / "ledger.jsonl"
        text = file.read_text() if file.exists() else ""
        entries = [json.loads(line) for line in text.splitlines()]
        return [e for e in entries if (e["event"], e["kind"]) == (event, "model")]


@dataclass(frozen=True)
class Counts:
    """What a provider holds after all, and what was asked for."""

    jobs: int
    """Ever created."""
    extra_jobs: int
    """Beyond one for each key and attempt, those that were cancelled included."""
    duplicate_jobs: int
    """Beyond one for each key and attempt, of those that were not cancelled."""
    files: int
    duplicate_files: int
    """Beyond one for each name, which holds the digest."""
    lost: int
    """Models that were not recorded, or are not what their key's job has made."""
    kills: int = 0
    """Of those that landed: the run had written something, and not made all."""
    early_kills: int = 0
    """The others."""
    losses: int = 0
    """Folders that were lost after a kill."""
    untold: int = 0
    """Runs that ended by themselves without all models and without a word on it, and
    jobs that were paid for twice without one."""
    between_intent_and_bind: int = 0
    """Kills that left a request of the killed process's own without an ID."""
    failed_runs: Sequence[str] = ()
    """What runs said that ended by themselves and did not make all."""


def count(server: Rehearsal, clients: Sequence[Client]) -> Counts:
    """What there is now."""
    state = server.state()
    jobs, live = Counter[Any](), Counter[Any]()
    of_key: dict[str, set[str]] = {}
    for job in state["jobs"]:
        tags = job["metadata"]
        attempt = tags["motools_key"], tags["motools_attempt"]
        jobs[attempt] += 1
        if job["status"] != "cancelled":
            live[attempt] += 1
        of_key.setdefault(tags["motools_key"], set()).add(job["fine_tuned_model"])
    files = Counter(
        file["filename"] for file in state["files"] if file["purpose"] == "fine-tune"
    )
    lost = 0
    for client in clients:
        kept = [key for key, model in client.made() if model in of_key.get(key, ())]
        lost += client.wanted - len(kept)
    return Counts(
        jobs=jobs.total(),
        extra_jobs=jobs.total() - len(jobs),
        duplicate_jobs=sum(n - 1 for n in live.values() if n > 1),
        files=files.total(),
        duplicate_files=files.total() - len(files),
        lost=lost,
    )


def storm(
    server: Rehearsal,
    client: Client,
    kills: int,
    seed: int = 0,
) -> Counts:
    """Kill the client so often in mid work, let it finish undisturbed, and count."""
    moments = random.Random(seed)
    server.faults(FAULTS)
    landed = early = between = losses = number = here = 0
    failed: list[str] = []
    client.begin(number)
    while landed < kills:
        before, wrote, made = client.intents(), client.wrote(), len(client.made())
        code, out = disturbed(client, moments)
        if code == -9:
            here += 1
            if client.wrote() != wrote and len(client.made()) < made + client.seeds:
                landed += 1
            else:
                early += 1
            between += bool(client.intents() - before)
            losses += lost(client, moments)
        elif code:
            failed.append(out)
            assert len(failed) < 10 + kills / 3, out
        if code == 0 or here == UNTIL_NEXT:
            number, here = number + 1, 0
            client.begin(number)
    server.faults([])
    client.finish()
    counts = count(server, [client])
    mute = [out for out in failed if not told(out)]
    return replace(
        counts,
        kills=landed,
        early_kills=early,
        losses=losses,
        untold=len(mute) + max(0, counts.duplicate_jobs - client.told_duplicates()),
        between_intent_and_bind=between,
        failed_runs=tuple(failed),
    )


def told(out: str) -> bool:
    """Whether a run that did not make all says which stage, and why."""
    return ("FAILED " in out or "deferred" in out) and "Traceback" not in out


def lost(client: Client, moments: random.Random) -> bool:
    """Lose a folder now and then; all of them only once lists show what was sent."""
    for folder, probability in LOSSES.items():
        if client.points and moments.random() < probability:
            if folder == ".":
                time.sleep(SETTLE)
            client.lose(folder)
            return True
    return False


def disturbed(client: Client, moments: random.Random) -> tuple[int, str]:
    """A run that is killed, unless it ends before: its exit code and its output."""
    how = moments.random() if client.points else 1.0
    if how < 0.25:
        point, nth = moments.choice(client.points), moments.randint(1, 2)
        running = client.start(Die(point, nth))
        return running.wait(), running.out
    before = client.intents()
    running = client.start()
    if how < 0.75:  # soon after a request has begun
        while not running.ended() and client.intents() <= before:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.35))
    else:
        time.sleep(moments.uniform(0, client.span))
    running.kill()
    return running.wait(), running.out
