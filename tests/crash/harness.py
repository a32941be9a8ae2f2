"""The crash test: kill a client of a faulty provider often, and count what is lost."""

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
"""Seconds, above the list lag; the server carries out a request when it is sent."""

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
"""POSTs: responses lost after commit, 500s after commit, and every response late. GETs:
passing 404s, and lists that are cut, endless, or do not say whether they go on."""

LOSSES = {"state": 0.1, ".": 0.03}
"""Folder of artifacts/ -> probability that it is lost after a kill; "." is all."""

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
"""Points at which a lone process may die; `before giving way` takes two processes."""

UNTIL_NEXT = 3
"""Kills after which new seeds are begun; unfinished ones are left for the end."""


class Client(Protocol):
    """A program that makes a model for each seed, and continues after a kill."""

    def begin(self, number: int) -> None:
        """Add a new dataset, and a model to make for each of its seeds."""
        ...

    def start(self, act: Act | None = None) -> Running:
        """Start a process that makes the models begun last."""
        ...

    def finish(self) -> None:
        """Make all models that were begun, without kills."""
        ...

    def intents(self) -> set[str]:
        """Nonces of intents whose request has no ID yet."""
        ...

    def made(self) -> list[tuple[str, str]]:
        """Key and model ID of every recorded model."""
        ...

    def wrote(self) -> object:
        """A value that changes whenever the client writes to its files."""
        ...

    def lose(self, folder: str) -> None:
        """Delete a folder of the client's files; "." is all."""
        ...

    def told_duplicates(self) -> int:
        """Number of duplicate jobs that the client has reported."""
        ...

    seeds: int
    """Number of models that one `begin` adds."""

    wanted: int
    """Number of models begun in all."""

    points: Sequence[str]
    """Named points at which the client can die."""

    span: float
    """Seconds within which a kill at a random time comes."""


@dataclass
class Doit:
    """The client that is tested: `doit run` in a project of its own."""

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
        """Key -> progress of its paid effect, for stages without an artifact."""
        found = {}
        for path in (self.artifacts / "state").glob("*.json"):
            try:
                paid = json.loads(path.read_bytes())["paid"]
            except FileNotFoundError:  # the stage has its artifact now
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
        """Number of models whose job has an ID in the state files."""
        states = self.paid().values()
        return sum((p["phase"], p["kind"]) == ("bound", "model") for p in states)

    def ledger(self, event: str) -> list[dict[str, Any]]:
        """The ledger's lines with one event, for models only."""
        file = self.artifacts / "ledger.jsonl"
        text = file.read_text() if file.exists() else ""
        entries = [json.loads(line) for line in text.splitlines()]
        return [e for e in entries if (e["event"], e["kind"]) == (event, "model")]


@dataclass(frozen=True)
class Counts:
    """What the provider holds in the end, compared with what was wanted."""

    jobs: int
    """Jobs created in all."""
    extra_jobs: int
    """Jobs beyond one for each key and attempt, including cancelled ones."""
    duplicate_jobs: int
    """Jobs beyond one for each key and attempt that were not cancelled."""
    files: int
    duplicate_files: int
    """Files beyond one for each name; the name holds the digest."""
    lost: int
    """Models that are not recorded, or that no job of their key has made."""
    kills: int = 0
    """Kills that landed: the run had written something, and had not made all models."""
    early_kills: int = 0
    """The other kills."""
    losses: int = 0
    """Folders that were lost after a kill."""
    untold: int = 0
    """Failures without a report: runs that ended without all models and did not say
    why, and duplicate jobs that were not reported."""
    between_intent_and_bind: int = 0
    """Kills after which an intent of the killed process had no ID."""
    failed_runs: Sequence[str] = ()
    """Output of the runs that failed without being killed."""


def count(server: Rehearsal, clients: Sequence[Client]) -> Counts:
    """Count what the server holds now, and what the clients lack."""
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
    """Kill the client until `kills` have landed, let it finish, and count."""
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
    """Whether a failed run's output names the stage that failed or was deferred."""
    return ("FAILED " in out or "deferred" in out) and "Traceback" not in out


def lost(client: Client, moments: random.Random) -> bool:
    """Lose a folder at random; if it is all, then once lists show what was sent."""
    for folder, probability in LOSSES.items():
        if client.points and moments.random() < probability:
            if folder == ".":
                time.sleep(SETTLE)
            client.lose(folder)
            return True
    return False


def disturbed(client: Client, moments: random.Random) -> tuple[int, str]:
    """Start a run, kill it unless it ends first; returns its exit code and output."""
    how = moments.random() if client.points else 1.0
    if how < 0.25:
        point, nth = moments.choice(client.points), moments.randint(1, 2)
        running = client.start(Die(point, nth))
        return running.wait(), running.out
    before = client.intents()
    running = client.start()
    if how < 0.75:  # kill it soon after it has written an intent
        while not running.ended() and client.intents() <= before:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.35))
    else:
        time.sleep(moments.uniform(0, client.span))
    running.kill()
    return running.wait(), running.out
