"""Jobs at providers, as the ledger and the state files tell."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.report.payments import in_parking_words
from motools_build.running.budget import last_cost
from motools_build.running.effects import paid_of
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Entry, Paid
from motools_build.store.runs import seconds_of

OVER = frozenset({"succeeded", "failed", "cancelled", "gone"})
"""States of a job that has ended, so costs nothing more."""

CLUSTER = "cluster"
"""`JobLine.backend` of a job at a cluster, which costs nothing."""

DAMAGED = "damaged"
"""The state of a stage whose state file cannot be read: it may have a job."""


@dataclass(frozen=True)
class JobLine:
    """A job at a provider, or a request for one whose answer is not known."""

    stage: str
    key: str
    attempt: int
    id: str
    """The provider's ID of the job; empty while not known."""
    state: str
    """`submitted`, `succeeded`, `failed`, `cancelled`, `gone`; `not known` for a
    request whose answer was lost; `parked until ...`; or `damaged`."""
    since: float
    """Time of submission, in seconds since the epoch."""
    account: str
    cost: float | None
    """Cost in USD; None if not known."""
    adopted: bool
    message: str
    backend: str = ""
    """The identity of the provider's service, as keys have it; empty if not known."""

    @property
    def ended(self) -> bool:
        """Whether the job has ended, as far as this folder knows."""
        return self.state in OVER

    @property
    def setting(self) -> str:
        """The name of the setting that the stage belongs to."""
        return self.stage.split(":", 1)[-1].split("/", 1)[0]

    def age(self) -> float:
        """Seconds since the submission."""
        return max(0.0, time.time() - self.since)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "setting": self.setting, "age": round(self.age())}


def jobs(store: ArtifactStore) -> list[JobLine]:
    """Every job and open request of this folder, the oldest first."""
    lines: list[JobLine] = []
    for key in store.ledger:
        entries = [entry for entry in store.ledger.of(key) if entry.kind == "model"]
        by_id: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.id:
                by_id.setdefault(entry.id, []).append(entry)
        lines += [_line(told) for told in by_id.values()]
    known = set()  # not the keys whose state file tells only of a failure
    for key in store.states.known():
        try:
            paid = store.states.paid(key)
        except ArtifactError as error:  # the other jobs are still listed
            lines.append(_unread(key, store.ledger.of(key), str(error)))
            known.add(key)
            continue
        if paid:
            known.add(key)
        if paid and paid.kind == "model" and paid.phase in ("intent", "parked"):
            lines.append(_open(key, paid))
    for key in store.ledger:
        told = None if key in known else paid_of(store.ledger.of(key))
        if told and told.kind == "model" and told.phase == "intent":
            lines.append(_open(key, told))
    return sorted(lines, key=lambda line: line.since)


def in_flight(store: ArtifactStore, settings: set[str]) -> list[JobLine]:
    """Jobs of these settings that have not ended, as far as this folder knows."""
    open_states = {"submitted", "not known"}
    return [
        job
        for job in jobs(store)
        if job.setting in settings
        and (job.state in open_states or job.state.startswith("parked"))
    ]


def _line(entries: list[Entry]) -> JobLine:
    """The job that the ledger's lines with one ID describe."""
    first, last = entries[0], entries[-1]
    ends = [entry for entry in entries if entry.event != "bound"]
    state = ends[-1].event if ends else "submitted"
    return JobLine(
        stage=last.stage,
        key=last.key,
        attempt=last.attempt,
        id=last.id,
        state=state,
        since=seconds_of(first.time),
        account=last.account,
        cost=last_cost(entries),
        adopted=first.adopted,
        message=ends[-1].message if ends else "",
        backend=last.backend,
    )


def _open(key: str, paid: Paid) -> JobLine:
    return JobLine(
        stage=paid.stage,
        key=key,
        attempt=paid.attempt,
        id="",
        state=_open_state(paid),
        since=paid.since,
        account=paid.account,
        cost=None,
        adopted=False,
        message=paid.message,
        backend=paid.backend,
    )


def _open_state(paid: Paid) -> str:
    return "not known" if paid.phase == "intent" else f"parked {in_parking_words(paid)}"


def _unread(key: str, told: list[Entry], message: str) -> JobLine:
    last = told[-1] if told else None
    return JobLine(
        stage=last.stage if last else "?",
        key=key,
        attempt=last.attempt if last else 1,
        id="",
        state=DAMAGED,
        since=seconds_of(last.time) if last else time.time(),
        account=last.account if last else "?",
        cost=None,
        adopted=False,
        message=message,
    )
